"""The view `color_threshold`: mask AP over τ, and the edges that the pairwise term keeps at each τ."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.figures import LEAST_WIDTH, OURS, REFERENCE, THEIRS, figure_caption, plot_estimates, seed_count
from analysis.statistics import above, below, one_seed_difference, summarize_arm
from analysis.studies.edge_purity import PAPER_THRESHOLD, RELEASED_THRESHOLD, edge_purity_table
from analysis.study import Study
from analysis.study_data import StudyData
from analysis.tables.study_table import OwnColumns, difference_in_words, number
from analysis.verdict import OwnWords, Verdict, arms_overlap, one_seed_source

NEEDS_X = True


def columns(data: StudyData) -> OwnColumns | None:
    return threshold_columns(data.results, data.study, data.edge_purity)


def figure(data: StudyData, table: pd.DataFrame) -> Figure | None:
    return threshold_figure(table, data.results, data.study, data.edge_purity, data.scale)


def words(data: StudyData) -> OwnWords:
    """Whether τ = 0 has the lowest AP, if there is such an arm."""
    if 0 not in thresholds(data.results, data.study).to_numpy():
        return OwnWords()
    return OwnWords(judgments=(worst_at_zero(data.results, data.study, data.edge_purity, data.spread),))


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


def worst_at_zero(
    results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None, spread: pd.DataFrame | None
) -> Verdict:
    """Whether τ = 0, where every pair of neighbors counts, has the lowest AP, and by how much."""
    values = thresholds(results, study)
    zero = values.index[values == 0][0]
    summaries = {arm: summarize_arm(results, arm, "mask_AP") for arm in study.arms if arm in values.index}
    judged = {arm: summary for arm, summary in summaries.items() if summary.n}
    subject = f"Expected: {study.label(zero)} has the lowest mask AP."
    if zero not in judged or len(judged) < 2:
        return Verdict(f"{subject} Cannot be judged: no result for it, or for the others.", "not judged")
    numbers = ", ".join(f"{number(summary.mean)} at {study.label(arm)}" for arm, summary in judged.items())
    others = {arm: summary for arm, summary in judged.items() if arm != zero}
    lowest = min(others, key=lambda arm: others[arm].mean)
    worst = judged[zero].mean < others[lowest].mean
    best = max(judged, key=lambda arm: judged[arm].mean)
    difference = one_seed_difference(results, zero, lowest, "mask_AP", spread)
    against = difference_in_words(difference)
    if not difference.n:
        against = f"{number(judged[zero].mean - others[lowest].mean, sign='+')} AP (of means; no seed in common)"
    one_seed = judged[zero].interval is None or others[lowest].interval is None
    unclear = arms_overlap(judged[zero], others[lowest])
    clear = "" if one_seed else f"; the intervals {'' if unclear else 'do not '}overlap"
    if worst:
        text = f"Holds for the means: {against} vs. the next lowest, {study.label(lowest)}{clear}."
    else:
        text = f"DOES NOT HOLD for the means: {against} vs. {study.label(lowest)}{clear}."
        text += f" {purity_sentence(edge_purity)}"
    text = f"{subject} {text} Means: {numbers}; the highest is {study.label(best)}."
    if one_seed and (spread is None or difference.interval is None):
        return Verdict(f"{text} One seed, so this is not judged.", "not judged")
    if one_seed:
        unclear = not (below(difference.interval, 0.0) or above(difference.interval, 0.0))
        source = one_seed_source(spread, (zero, lowest))
        text += f" {source[0].upper()}{source[1:]}{': undecided' if unclear else ''}."
    return Verdict(text, "undecided" if unclear else "holds" if worst else "does not hold")


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
