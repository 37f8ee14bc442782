"""Plots of a study: a `plot_` function draws on the axis it is given and returns it; a `_figure` puts axes together."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.published import STATUS_MEANINGS, published_for
from analysis.study import Study, arm_label

STYLE = Path(__file__).parent / "style.mplstyle"
OURS, REFERENCE, THEIRS = "#0072B2", "#56606B", "#D55E00"  # Okabe and Ito's blue and vermilion; a dark gray
MASK_TERMS = {  # column of the curves -> label, and place in the color cycle: that of its own arm in `loss_terms`
    "loss/box_mask": ("Dice, box as mask", 0),
    "loss/projection": ("projection", 1),
    "loss/pairwise": ("pairwise", 2),
    "loss/dice": ("Dice, true mask", 4),
}
CONFIRMED = ("V", "V2", "D")  # published statuses drawn filled; the others hollow


def save(figure: Figure, stem: Path, formats: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write `stem.png`, `stem.svg`; without dates and program versions, so that equal figures give equal bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.with_suffix(f".{extension}") for extension in formats]
    for path in paths:
        metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, metadata=metadata)
    return paths


def styled() -> Any:
    """Context in which figures are made and saved: the one style of all plots."""
    return matplotlib.rc_context(matplotlib.rc_params_from_file(STYLE, use_default_template=True))


def arms_figure(
    table: pd.DataFrame, results: pd.DataFrame, study: Study, published: pd.DataFrame, scale: str
) -> Figure:
    figure = Figure(figsize=(max(5.0, 1.75 * len(study.arms)), 4.9))
    axis = plot_arms(figure.subplots(), table, results, study, published)
    entries = sorted(zip(*axis.get_legend_handles_labels(), strict=True), key=lambda entry: "theirs" in entry[1])
    figure.legend(*zip(*entries, strict=True), loc="outside lower center", ncols=1, alignment="left")
    axis.set_title(scale.replace("`", ""), loc="left", fontsize=8.5, color="#404040", wrap=True)
    return figure


def plot_arms(axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study, published: pd.DataFrame) -> Axes:
    """Mask AP of each arm as bars with seeds and 95 % interval, a line at the reference arm, published numbers beside.

    A published number stands right of its arm's bar as a diamond, hollow where it is not confirmed.
    """
    axis.bar(0, 0, color=OURS, label=f"ours, {_seed_count(table)}")
    for x, row in enumerate(table.itertuples()):
        if row.n == 0:
            axis.text(x - 0.12, 1, "no result", rotation=90, ha="center", va="bottom", color=REFERENCE)
            continue
        color = REFERENCE if row.Index == study.reference_arm else OURS
        axis.bar(x - 0.12, row.mask_AP, width=0.5, color=color)
        top = row.mask_AP
        if row.n > 1:
            seeds = results.loc[results["arm"] == row.Index, "mask_AP"]
            axis.plot([x - 0.28] * len(seeds), seeds, "o", color="white", markeredgecolor="black", markersize=3.5)
            below, above = row.mask_AP - row.mask_AP_low, row.mask_AP_high - row.mask_AP
            axis.errorbar(x - 0.12, row.mask_AP, [[below], [above]], color="black", capsize=4, linewidth=1.2)
            top = row.mask_AP_high
        _value(axis, x - 0.12, top, row.mask_AP, color)
    if study.reference_arm is not None and table["n"][study.reference_arm]:
        full = table["mask_AP"][study.reference_arm]
        name = f"ours, {arm_label(study.reference_arm)}"
        axis.axhline(full, color=REFERENCE, linestyle=(0, (5, 3)), linewidth=1.2, zorder=0.5, label=name)
    _plot_published(axis, study, published)
    axis.set_xticks(range(len(table)), [_two_lines(label) for label in table["label"]])
    axis.set_xlim(-0.55, len(table) - 0.4)
    axis.set_ylim(0, 1.14 * max(1.0, axis.dataLim.y1))
    axis.set_ylabel("mask AP (%)")
    axis.grid(axis="y")
    axis.tick_params(axis="x", length=0)
    return axis


def _value(axis: Axes, x: float, y: float, value: float, color: str) -> None:
    """Print a value above a mark, on white so that no line runs through it."""
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
    axis.annotate(
        f"{value:.1f}",
        (x, y),
        (0, 8),
        textcoords="offset points",
        ha="center",
        color=color,
        bbox=box,
        fontsize=9.5,
        zorder=2.5,
    )


def _seed_count(table: pd.DataFrame) -> str:
    counts = sorted(set(table["n"]) - {0})
    if not counts or counts == [1]:
        return "one seed"
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean of {seeds} seeds, each seed as a dot, 95 % bootstrap interval (narrow for few)"


def _plot_published(axis: Axes, study: Study, published: pd.DataFrame) -> None:
    theirs = published_for(published, study.name, "mask_AP").dropna(subset="value")
    places = {arm: x + 0.3 for x, arm in enumerate(study.arms)}
    for (status, split, backbone, schedule), rows in theirs.groupby(["status", "split", "backbone", "schedule"]):
        rows = rows[rows.index.isin(study.arms)]
        if rows.empty:
            continue
        face = THEIRS if status in CONFIRMED else "white"
        label = f"theirs, {split}, {backbone} {schedule}; {status}: {STATUS_MEANINGS[status]}"
        x = [places[arm] for arm in rows.index]
        axis.plot(x, rows["value"], "D", color=THEIRS, markerfacecolor=face, markersize=7, label=label, zorder=3)
        for place, value in zip(x, rows["value"], strict=True):
            _value(axis, place, value, value, THEIRS)


def _two_lines(label: str) -> str:
    """Break a label at the space nearest to its middle."""
    spaces = [i for i, character in enumerate(label) if character == " "]
    if len(label) < 12 or not spaces:
        return label
    middle = min(spaces, key=lambda i: abs(i - len(label) / 2))
    return f"{label[:middle]}\n{label[middle + 1 :]}"


def curves_figure(records: Mapping[str, Sequence[dict[str, Any]]], study: Study) -> Figure:
    """One panel an arm with its mask-loss terms, and one with mask AP over epochs for all arms."""
    arms = [arm for arm in study.arms if records.get(arm)]
    columns = min(3, len(arms) + 1)
    rows = -(-(len(arms) + 1) // columns)
    figure = Figure(figsize=(3.7 * columns, 2.7 * rows + 0.3))
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axis, arm in zip(axes, arms, strict=False):
        plot_terms(axis, records[arm], arm_label(arm))
    plot_ap(axes[len(arms)], {arm_label(arm): records.get(arm, ()) for arm in study.arms})
    for axis in axes[len(arms) + 1 :]:
        axis.remove()
    return figure


def plot_terms(axis: Axes, records: Sequence[dict[str, Any]], title: str) -> Axes:
    """Weighted mask-loss terms against epoch, one line a seed; gray area: the warm-up factor of the pairwise term."""
    styles = list(matplotlib.rcParams["axes.prop_cycle"])
    drawn = set()
    for record in records:
        curves = pd.DataFrame(record["curves"])
        for column, (label, place) in MASK_TERMS.items():
            if column in curves and (curves[column].fillna(0) != 0).any():
                axis.plot(curves["epoch"], curves[column], label=None if column in drawn else label, **styles[place])
                drawn.add(column)
    axis.set_ylim(bottom=0)
    axis.set(title=title, xlabel="epoch", ylabel="loss (weighted)")
    curves = pd.DataFrame(records[0]["curves"])
    if "loss/pairwise" in drawn and "pairwise_warmup" in curves:
        share = axis.twinx()
        share.fill_between(curves["epoch"], curves["pairwise_warmup"], color="#EAEAEA", linewidth=0)
        share.set_ylim(0, 1.6)
        share.set_yticks([])
        axis.set_zorder(share.get_zorder() + 1)
        axis.patch.set_visible(False)
        axis.fill_between([], [], color="#EAEAEA", label="pairwise warm-up, 0 to 1")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.legend(fontsize=8)
    return axis


def plot_ap(axis: Axes, records: Mapping[str, Sequence[dict[str, Any]]]) -> Axes:
    """Mask AP at each epoch that was evaluated, one color an arm, one line a seed."""
    for style, (label, of_arm) in zip(matplotlib.rcParams["axes.prop_cycle"] * 3, records.items(), strict=False):
        for i, record in enumerate(of_arm):
            curves = pd.DataFrame(record["curves"])
            if "mask_AP" in curves:
                evaluated = curves.dropna(subset="mask_AP")
                axis.plot(
                    evaluated["epoch"],
                    evaluated["mask_AP"],
                    marker="o",
                    markersize=3.5,
                    label=None if i else label,
                    **style,
                )
    axis.set(title="mask AP on validation images", xlabel="epoch", ylabel="mask AP (%)")
    axis.set_ylim(0, 1.5 * max(1.0, axis.dataLim.y1))  # room for the legend above the lines
    axis.set_xlim(left=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axis.lines:
        axis.legend(fontsize=7.5, loc="upper left", ncols=2, columnspacing=1.0)
    return axis
