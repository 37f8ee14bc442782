"""Plots of a study: a `plot_` function draws on the given axis and returns it; a `_figure` function combines axes."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from analysis.published import STATUS_MEANINGS, published_for
from analysis.statistics import summarize_arm
from analysis.study import Study

STYLE = Path(__file__).parent / "style.mplstyle"
OURS, REFERENCE, THEIRS = "#0072B2", "#56606B", "#D55E00"  # Okabe and Ito's blue and vermilion; a dark gray
FIGURES = {  # of a study: suffix of the file name -> formats
    "": ("png", "svg"),
    "_sizes": ("png", "svg"),
    "_ious": ("png", "svg"),
    "_curves": ("png", "svg"),
    "_pictures": ("png",),
}
LEAST_WIDTH = 6.6  # inches; fits a legend line with the number of seeds
SIZES = {  # metric -> label, color, marker; COCO's limits, by area of the annotated mask
    "mask_APs": ("small, below 32² px", "#0072B2", "o"),
    "mask_APm": ("medium, 32² to 96² px", "#D55E00", "s"),
    "mask_APl": ("large, above 96² px", "#009E73", "^"),
}
APART = 0.2  # distance between two sizes of one arm
CONFIRMED = ("V", "V2", "D")  # published statuses with filled markers; others are hollow


def styled(*, formulas: bool = False) -> Any:
    """Context manager that applies the style of all plots; create and save figures in it.

    `formulas`: whether text between two `$` is a formula; false wherever text comes from a study file or a record.
    """
    style = matplotlib.rc_params_from_file(STYLE, use_default_template=True)
    return matplotlib.rc_context(style | {"text.parse_math": formulas})


def arms_figure(
    table: pd.DataFrame, results: pd.DataFrame, study: Study, published: pd.DataFrame, scale: str
) -> Figure:
    published_beside = published_for(published, study.name, "mask_AP")["value"].notna().any()
    width, least = (1.75, 7.8) if published_beside else (1.3, LEAST_WIDTH)  # of the legend, with and without statuses
    figure = Figure(figsize=(max(least, width * len(study.arms)), 4.9))
    axis = plot_arms(figure.subplots(), table, results, study, published)
    entries = sorted(zip(*axis.get_legend_handles_labels(), strict=True), key=lambda entry: "published" in entry[1])
    figure.legend(*zip(*entries, strict=True), loc="outside lower center", ncols=1, alignment="left")
    figure_caption(figure, axis, scale)
    return figure


def empty_figure(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = Figure(figsize=(LEAST_WIDTH, 1.2))
    figure.text(0.5, 0.5, text, ha="center", va="center", color=REFERENCE)
    return figure


def sizes_figure(table: pd.DataFrame, results: pd.DataFrame, study: Study, scale: str) -> Figure:
    """Mask AP by object size."""
    figure = Figure(figsize=(max(LEAST_WIDTH, 1.3 * len(study.arms)), 4.3))
    axis = plot_sizes(figure.subplots(), table, results, study)
    if axis.lines:
        title = f"object size;\n{seed_count(table)}"  # one line would be wider than the figure
        legend = figure.legend(*axis.get_legend_handles_labels(), title=title, loc="outside lower center", ncols=3)
        legend.get_title().set_multialignment("center")
    figure_caption(figure, axis, scale)
    return figure


def figure_caption(figure: Figure, axis: Axes | None, scale: str) -> None:
    """Print the scale in small type above the axis (None: above all axes), wrapped to the width of the figure."""
    text = textwrap.fill(scale.replace("`", ""), int(13.5 * figure.get_figwidth()))
    style = {"fontsize": 8.5, "color": "#404040"}
    if axis is None:
        figure.suptitle(text, x=0.01, ha="left", **style)
    else:
        axis.set_title(text, loc="left", **style)


def plot_arms(axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study, published: pd.DataFrame) -> Axes:
    """Mask AP of each arm as a bar with seeds and 95 % interval, and a line at the reference arm.

    A published number is a diamond right of the bar of its arm, hollow if it is not confirmed.
    """
    axis.bar(0, 0, color=OURS, label=f"ours, {seed_count(table)}")
    for x, row in enumerate(table.itertuples()):
        if row.n == 0:
            style = {"rotation": 90, "ha": "center", "va": "bottom", "color": REFERENCE}
            axis.text(x, 0.02, "no result", transform=axis.get_xaxis_transform(), **style)
            continue
        color = REFERENCE if row.Index == study.reference_arm else OURS
        axis.bar(x, row.mask_AP, width=0.5, color=color)
        top = row.mask_AP
        if row.n > 1:
            seeds = results.loc[results["arm"] == row.Index, "mask_AP"]
            axis.plot([x - 0.16] * len(seeds), seeds, "o", color="white", markeredgecolor="black", markersize=3.5)
            below, above = row.mask_AP - row.mask_AP_low, row.mask_AP_high - row.mask_AP
            axis.errorbar(x, row.mask_AP, [[below], [above]], color="black", capsize=4, linewidth=1.2)
            top = row.mask_AP_high
        _value(axis, x, top, row.mask_AP, color)
    if study.reference_arm is not None and table["n"][study.reference_arm]:
        full = table["mask_AP"][study.reference_arm]
        name = f"ours, {study.label(study.reference_arm)}"
        axis.axhline(full, color=REFERENCE, linestyle=(0, (5, 3)), linewidth=1.2, zorder=0.5, label=name)
    _plot_published(axis, study, published)
    axis.set_xticks(range(len(table)), [two_lines(label) for label in table["label"]])
    axis.set_xlim(-0.45, len(table) - 0.35)
    axis.set_ylim(0, 1.14 * max(1.0, axis.dataLim.y1))
    axis.set_ylabel("mask AP (%)")
    axis.grid(axis="y")
    axis.tick_params(axis="x", length=0)
    return axis


def plot_sizes(axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study) -> Axes:
    """AP of each arm for each object size; sizes without objects in the validation images are omitted."""
    present = [metric for metric in SIZES if results[metric].notna().any()]
    for i, metric in enumerate(present):
        label, color, marker = SIZES[metric]
        places = {arm: x + APART * (i - (len(present) - 1) / 2) for x, arm in enumerate(study.arms)}
        plot_estimates(axis, places, results, metric, color=color, marker=marker, label=label)
    axis.set_xticks(range(len(study.arms)), [two_lines(study.label(arm)) for arm in study.arms])
    axis.set_xlim(-0.5, len(study.arms) - 0.5)
    axis.set_ylim(0, 1.08 * max(1.0, axis.dataLim.y1))
    axis.set_ylabel("mask AP (%)")
    axis.grid(axis="y")
    axis.tick_params(axis="x", length=0)
    return axis


def _value(axis: Axes, x: float, y: float, value: float, color: str) -> None:
    """Print a value above a marker, on white so that no line crosses it."""
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


def seed_count(table: pd.DataFrame) -> str:
    counts = sorted(set(table["n"]) - {0})
    if not counts:
        return "no result"
    if counts == [1]:
        return "one seed"
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"mean of {seeds} seeds, each seed as a dot, 95 % interval"


def plot_estimates(
    axis: Axes,
    places: Mapping[str, float] | pd.Series,
    results: pd.DataFrame,
    metric: str,
    *,
    color: str,
    label: str | None,
    marker: str = "o",
    line: bool = False,
    values: bool = False,
) -> Axes:
    """Mean of each arm at its place with its 95 % interval; seeds are small dots to its left.

    `line` connects the means in the order of `places`, `values` prints them. Arms without results are omitted.
    """
    summaries = {arm: summarize_arm(results, arm, metric) for arm in dict(places)}
    shown = [arm for arm in summaries if summaries[arm].n]
    if not shown:  # an empty unclipped line makes the layout collapse
        return axis
    x, means = [places[arm] for arm in shown], [summaries[arm].mean for arm in shown]
    style = {"color": color, "marker": marker, "markersize": 6.5, "linestyle": "-" if line else "none"}
    axis.plot(x, means, label=label, zorder=2.5, clip_on=False, **style)
    aside = axis.transData + ScaledTranslation(-6 / 72, 0, axis.figure.dpi_scale_trans)  # points
    for arm, place in zip(shown, x, strict=True):
        seeds = results.loc[results["arm"] == arm, metric].dropna()
        mean, interval = summaries[arm].mean, summaries[arm].interval
        if interval is not None:
            lengths = [[mean - interval[0]], [interval[1] - mean]]
            axis.errorbar(place, mean, lengths, color="black", capsize=4, linewidth=1.1, zorder=3)
            dots = {"marker": "o", "markersize": 3, "linestyle": "none", "color": "#404040", "alpha": 0.75}
            axis.plot([place] * len(seeds), seeds, transform=aside, **dots)
        if values:
            _value(axis, place, max(seeds), mean, color)
    return axis


def _plot_published(axis: Axes, study: Study, published: pd.DataFrame) -> None:
    theirs = published_for(published, study.name, "mask_AP").dropna(subset="value")
    places = {arm: x + 0.42 for x, arm in enumerate(study.arms)}
    for (status, split, backbone, schedule), rows in theirs.groupby(["status", "split", "backbone", "schedule"]):
        rows = rows[rows.index.isin(study.arms)]
        if rows.empty:
            continue
        face = THEIRS if status in CONFIRMED else "white"
        label = f"published, {split}, {backbone} {schedule}; {status}: {STATUS_MEANINGS[status]}"
        x = [places[arm] for arm in rows.index]
        axis.plot(x, rows["value"], "D", color=THEIRS, markerfacecolor=face, markersize=7, label=label, zorder=3)
        for place, value in zip(x, rows["value"], strict=True):
            _value(axis, place, value, value, THEIRS)


def two_lines(label: str) -> str:
    """Break a label at the space closest to its middle."""
    spaces = [i for i, character in enumerate(label) if character == " "]
    if len(label) < 12 or not spaces:
        return label
    middle = min(spaces, key=lambda i: abs(i - len(label) / 2))
    return f"{label[:middle]}\n{label[middle + 1 :]}"
