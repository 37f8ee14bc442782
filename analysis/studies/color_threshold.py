"""The view `color_threshold`: mask AP over τ, and the edges that the pairwise term keeps at each τ."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.comparisons import Comparisons, OwnPairs, Pair
from analysis.plots.figures import LEAST_WIDTH, OURS, REFERENCE, THEIRS, figure_caption, plot_estimates, seed_count
from analysis.statistics import summarize_arm
from analysis.studies.edge_purity import PAPER_THRESHOLD, RELEASED_THRESHOLD, edge_purity_table
from analysis.study import Study
from analysis.study_data import StudyData
from analysis.tables.study_table import OwnColumns, number
from analysis.verdict import OwnWords, Verdict, not_apart_in_words, source_in_words, step_in_words

NEEDS_X = True


def columns(data: StudyData) -> OwnColumns | None:
    return threshold_columns(data.results, data.study, data.edge_purity)


def figure(data: StudyData, table: pd.DataFrame) -> Figure | None:
    return threshold_figure(table, data.results, data.study, data.edge_purity, data.scale)


def pairs(data: StudyData) -> OwnPairs:
    return OwnPairs(zero_pairs(data.results, data.study))


def words(data: StudyData, compared: Comparisons) -> OwnWords:
    """Whether τ = 0 has the lowest AP, if there is such an arm."""
    if 0 not in thresholds(data.results, data.study).to_numpy():
        return OwnWords()
    return OwnWords(judgments=(worst_at_zero(data, compared),))


def thresholds(results: pd.DataFrame, study: Study) -> pd.Series:
    """τ of each arm: the study's x."""
    return pd.to_numeric(results.groupby("arm", sort=False)[study.x].first(), errors="coerce").dropna()


def edges_at(edge_purity: pd.DataFrame | None, values: pd.Series) -> pd.DataFrame:
    """`share_kept` and `purity` in percent at the τ of each arm; NaN if not measured."""
    if edge_purity is None:
        return pd.DataFrame(index=values.index, columns=["share_kept", "purity"], dtype=float)
    shares = edge_purity_table(edge_purity).droplevel(0)
    return shares.reindex(values)[["share_kept", "purity"]].set_axis(values.index)


def purity_sentence(edge_purity: pd.DataFrame | None) -> str:
    """Why τ = 0 may do no harm: the purity of all edges of this data, which it keeps."""
    at_zero = edges_at(edge_purity, pd.Series({"zero": 0.0}))["purity"]["zero"]
    if pd.isna(at_zero):
        return "The edge purity of this data was not measured, so the reason is unknown."
    return (
        f"The data may be a reason: {number(at_zero, 1)} % of all edges in the boxes join two pixels with the same "
        f"true label, so at τ = 0 only {number(100 - at_zero, 1)} % of the edges mislead the pairwise term."
    )


def zero_pairs(results: pd.DataFrame, study: Study) -> tuple[Pair, ...]:
    """τ = 0 beside each other τ; empty without an arm at 0."""
    values = thresholds(results, study)
    zero = values.index[values == 0]
    return tuple(Pair(zero[0], arm) for arm in study.arms if len(zero) and arm in values.index and arm != zero[0])


def worst_at_zero(data: StudyData, compared: Comparisons) -> Verdict:
    """Whether τ = 0, where every pair of neighbors counts, is told apart from every other τ, and below it."""
    results, study = data.results, data.study
    pairs = zero_pairs(results, study)
    values = thresholds(results, study)
    zero = values.index[values == 0][0]
    finding = f"{study.label(zero)} has the lowest mask AP"
    subject = f"Expected: {finding}."
    means = {arm: summarize_arm(results, arm, "mask_AP").mean for arm in study.arms if arm in values.index}
    means = {arm: mean for arm, mean in means.items() if not pd.isna(mean)}
    if zero not in means or len(means) < 2:
        reason = f"no result for {study.label(zero)}" if zero not in means else f"no result beside {study.label(zero)}"
        return Verdict(f"{subject} Cannot be judged: {reason}.", "no result", reason, finding)
    steps = [compared[pair] for pair in pairs if pair.other in means]
    numbers = ", ".join(f"{number(mean)} at {study.label(arm)}" for arm, mean in means.items())
    shown = f"Means: {numbers}; the highest is {study.label(max(means, key=lambda arm: means[arm]))}."
    source = source_in_words(compared, steps, data.spread)
    lowest = min(steps, key=lambda step: means[step.pair.other])  # of the other arms
    wrong = [step for step in steps if step.above]
    unclear = [step for step in steps if not step.told_apart]
    if wrong:
        words = step_in_words(study, wrong[0])
        text = f"DOES NOT HOLD: {words} ({source}). {purity_sentence(data.edge_purity)}"
        return Verdict(f"{subject} {text} {shown}", "does not hold", words, finding)
    if unclear:
        state = "Holds for the means" if means[zero] < means[lowest.pair.other] else "Does not hold for the means"
        text = f"{state}, but {not_apart_in_words(study, unclear)} ({source})."
        if state != "Holds for the means":
            text += f" {purity_sentence(data.edge_purity)}"
        return Verdict(f"{subject} {text} {shown}", "not told apart", step_in_words(study, unclear[0]), finding)
    words = f"next lowest: {step_in_words(study, lowest)}"
    return Verdict(
        f"{subject} Holds, told apart from every other τ; {words} ({source}). {shown}", "holds", words, finding
    )


def threshold_columns(results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None) -> OwnColumns | None:
    """Share of edges kept and their purity; None if not measured."""
    if edge_purity is None:
        return None
    numbers = edges_at(edge_purity, thresholds(results, study)).reindex(list(study.arms))
    numbers = numbers.rename(columns={"share_kept": "edges_kept", "purity": "edge_purity"})
    cells = pd.DataFrame(
        {
            "edges kept": [number(share, 1, " %") for share in numbers["edges_kept"]],
            "edge purity": [number(share, 1, " %") for share in numbers["edge_purity"]],
        },
        index=numbers.index,
    )
    note = (
        "Edges kept: share of the edges in the boxes of the validation images with color similarity τ or more. Edge "
        "purity: share of the kept edges whose two pixels have the same true label."
    )
    return OwnColumns(numbers, cells, (note,))


def threshold_figure(
    table: pd.DataFrame, results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None, scale: str
) -> Figure:
    """Mask AP over τ; below it edge purity and share of edges kept, if measured."""
    rows = 1 if edge_purity is None else 2
    figure = Figure(figsize=(LEAST_WIDTH, 4.2 if rows == 1 else 6.4))
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": (3, 2)[:rows]})[:, 0]
    plot_threshold(axes[0], table, results, study)
    if edge_purity is not None:
        plot_edges(axes[1], edge_purity, limit=float(thresholds(results, study).max()))
    axes[-1].set_xlabel("color threshold τ")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    figure_caption(figure, axes[0], scale)
    return figure


def plot_threshold(axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study) -> Axes:
    values = thresholds(results, study).reindex(list(study.arms)).dropna().sort_values()
    plot_estimates(axis, values, results, "mask_AP", color=OURS, label=f"ours, {seed_count(table)}", line=True)
    low, high = axis.dataLim.intervaly
    room = max(1.0, 0.25 * (high - low))
    axis.set_ylim(max(0.0, low - room), high + room)
    for threshold, label in ((PAPER_THRESHOLD, "best in the paper, as quoted"), (RELEASED_THRESHOLD, "released code")):
        axis.axvline(threshold, color=REFERENCE, linewidth=0.9, linestyle=(0, (5, 3)), zorder=0.5)
        axis.annotate(label, (threshold, 0.02), (3, 0), xycoords=("data", "axes fraction"),
                      textcoords="offset points", rotation=90, va="bottom", fontsize=8, color=REFERENCE)  # fmt: skip
    axis.set_ylabel("mask AP (%)")
    axis.set_xticks(sorted(set(values)))
    axis.grid(axis="y")
    return axis


def plot_edges(axis: Axes, edge_purity: pd.DataFrame, limit: float) -> Axes:
    """Purity and share of edges kept over τ, up to `limit`."""
    shares = edge_purity_table(edge_purity).droplevel(0)
    shares = shares[shares.index <= limit + 1e-9]
    styles = (("purity", "edge purity", THEIRS, "-"), ("share_kept", "edges kept", "#009E73", "--"))
    for column, label, color, style in styles:
        axis.plot(shares.index, shares[column], color=color, linestyle=style, marker="o", markersize=4, label=label)
    axis.set_ylim(0, 105)
    axis.set_ylabel("share of edges (%)")
    axis.grid(axis="y")
    axis.legend(loc="lower left", fontsize=8.5)
    return axis
