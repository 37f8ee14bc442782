"""The bars of one study on all domains side by side."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.figures import OURS, REFERENCE
from analysis.statistics import summarize_arm
from analysis.study_data import StudyData
from analysis.tables.study_table import number

WIDTH = 11.6  # inches: fits a page 1216 px wide


def domains_figure(titles: Sequence[str], studies: Sequence[StudyData]) -> Figure:
    """A panel for each domain: mask AP of each arm as a bar that ends, in each panel, at its share of full masks.

    The axis of a panel is scaled by the reference arm, so bars of equal length are equal shares of it.
    """
    arms = {arm: data.study.label(arm) for data in studies for arm in data.study.arms}
    figure = Figure(figsize=(WIDTH, 0.95 + 0.34 * len(arms)))
    axes = figure.subplots(1, len(studies), squeeze=False, sharey=True)[0]
    for axis, title, data in zip(axes, titles, studies, strict=True):
        plot_domain(axis, title, data, list(arms), room=1.3 + 0.1 * len(studies))
    axes[0].set_yticks(range(len(arms)), list(arms.values()))
    axes[0].set_ylim(len(arms) - 0.45, -0.55)
    return figure


def plot_domain(axis: Axes, title: str, data: StudyData, arms: Sequence[str], *, room: float) -> Axes:
    """The bars of one domain from top to bottom, with AP, share of the reference arm, and 95 % interval.

    The axis ends at `room` times the reference arm's AP, so that the numbers fit beside the bars.
    """
    summaries = {arm: summarize_arm(data.results, arm, "mask_AP") for arm in arms}
    reference = data.study.reference_arm
    whole = summaries[reference].mean if reference in summaries and summaries[reference].n else float("nan")
    longest = whole if whole > 0 else max((found.mean for found in summaries.values() if found.n), default=1.0)
    for place, (arm, found) in enumerate(summaries.items()):
        if not found.n:
            axis.text(0.02 * longest, place, "no result", va="center", fontsize=9, color=REFERENCE)
            continue
        axis.barh(place, found.mean, height=0.62, color=REFERENCE if arm == reference else OURS)
        end = found.mean
        if found.interval is not None:
            low, high = found.interval
            lengths = [[found.mean - low], [high - found.mean]]
            axis.errorbar(found.mean, place, xerr=lengths, color="black", capsize=3, linewidth=1.1)
            end = max(end, high)
        share = f" ({number(100 * found.mean / whole, 0)} %)" if whole > 0 else ""
        axis.text(end + 0.03 * longest, place, f"{number(found.mean)}{share}", va="center", fontsize=9)
    seeds = sorted({found.n for found in summaries.values() if found.n})
    counted = " to ".join(map(str, dict.fromkeys([*seeds[:1], *seeds[-1:]]))) or "no"
    axis.set_title(f"{title}, {counted} seed{'' if counted == '1' else 's'}", fontsize=10.5, loc="left")
    axis.set_xlim(0, room * longest)
    axis.set_xlabel("mask AP (%)", fontsize=9)
    axis.tick_params(axis="x", labelsize=8.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")
    return axis
