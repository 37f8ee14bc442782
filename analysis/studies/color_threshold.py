"""The study `color_threshold`: mask AP against τ, beside what τ does to the edges that the pairwise term sees."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.figures import LEAST_WIDTH, OURS, REFERENCE, THEIRS, figure_caption, plot_estimates, seed_count
from analysis.studies.edge_purity import PAPER_THRESHOLD, RELEASED_THRESHOLD, edge_purity_table
from analysis.study import Study
from analysis.tables.study_table import OwnColumns, number

FIELD = "loss.color_threshold"


def thresholds(results: pd.DataFrame) -> pd.Series:
    """τ of each arm; empty where the results do not vary it."""
    if FIELD not in results:
        return pd.Series(dtype=float)
    return pd.to_numeric(results.groupby("arm", sort=False)[FIELD].first(), errors="coerce").dropna()


def edges_at(edge_purity: pd.DataFrame | None, values: pd.Series) -> pd.DataFrame:
    """`share_kept` and `purity` in percent at each arm's τ; NaN where it was not measured."""
    if edge_purity is None:
        return pd.DataFrame(index=values.index, columns=["share_kept", "purity"], dtype=float)
    shares = edge_purity_table(edge_purity).droplevel(0)
    return shares.reindex(values)[["share_kept", "purity"]].set_axis(values.index)


def purity_sentence(edge_purity: pd.DataFrame | None) -> str:
    """Why τ = 0 may do no harm: how many of all edges, which it keeps, are right on this data."""
    at_zero = edges_at(edge_purity, pd.Series({"zero": 0.0}))["purity"]["zero"]
    if pd.isna(at_zero):
        return "The purity of this data's edges was not measured, so why is not known."
    return (
        f"A reason can be the data: at τ = 0 {number(at_zero, 1)} % of the edges in its boxes join two pixels of one "
        f"true label, so that only {number(100 - at_zero, 1)} % of what the pairwise term says there is wrong."
    )


def threshold_columns(results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None) -> OwnColumns | None:
    """Share of edges kept and their purity; None where they were not measured."""
    if edge_purity is None:
        return None
    numbers = edges_at(edge_purity, thresholds(results)).reindex(list(study.arms))
    numbers = numbers.rename(columns={"share_kept": "edges_kept", "purity": "edge_purity"})
    cells = pd.DataFrame(
        {
            "edges kept": [number(share, 1, " %") for share in numbers["edges_kept"]],
            "edge purity": [number(share, 1, " %") for share in numbers["edge_purity"]],
        },
        index=numbers.index,
    )
    note = (
        "Edges kept: edges of color similarity τ or more, of all edges in the boxes of the validation images; purity: "
        "kept edges whose two pixels have the same true label, of all kept."
    )
    return OwnColumns(numbers, cells, (note,))


def threshold_figure(
    table: pd.DataFrame, results: pd.DataFrame, study: Study, edge_purity: pd.DataFrame | None, scale: str
) -> Figure:
    """Mask AP against τ; below it edge purity and share kept where they were measured."""
    rows = 1 if edge_purity is None else 2
    figure = Figure(figsize=(LEAST_WIDTH, 4.2 if rows == 1 else 6.4))
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": (3, 2)[:rows]})[:, 0]
    plot_threshold(axes[0], table, results, study)
    if edge_purity is not None:
        plot_edges(axes[1], edge_purity, limit=float(thresholds(results).max()))
    axes[-1].set_xlabel("color threshold τ")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    figure_caption(figure, axes[0], scale)
    return figure


def plot_threshold(axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study) -> Axes:
    values = thresholds(results).reindex(list(study.arms)).dropna().sort_values()
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
    """Purity and share of edges kept against τ up to `limit`, labeled at the line's end."""
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
