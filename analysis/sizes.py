"""Mask AP by the size of the object: small, medium and large as COCO counts them."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.labels import arm_label
from analysis.plots import LEAST_WIDTH, figure_caption, plot_estimates, seed_count, two_lines
from analysis.study import Study

SIZES = {  # metric -> label, color, marker; areas of the annotated mask in pixels
    "mask_APs": ("small, below 32² px", "#0072B2", "o"),
    "mask_APm": ("medium, 32² to 96² px", "#D55E00", "s"),
    "mask_APl": ("large, above 96² px", "#009E73", "^"),
}
APART = 0.2  # places of two sizes of one arm


def sizes_figure(table: pd.DataFrame, results: pd.DataFrame, study: Study, scale: str) -> Figure:
    figure = Figure(figsize=(max(LEAST_WIDTH, 1.3 * len(study.arms)), 4.3))
    axis = plot_sizes(figure.subplots(), table, results, study)
    if axis.lines:
        title = f"size of the object; {seed_count(table)}"
        figure.legend(*axis.get_legend_handles_labels(), title=title, loc="outside lower center", ncols=3)
    figure_caption(figure, axis, scale)
    return figure


def plot_sizes(axis: Axes, table: pd.DataFrame, results: pd.DataFrame, study: Study) -> Axes:
    """AP of each arm for each size that the validation images hold; a size without any object is left out."""
    present = [metric for metric in SIZES if results[metric].notna().any()]
    for i, metric in enumerate(present):
        label, color, marker = SIZES[metric]
        places = {arm: x + APART * (i - (len(present) - 1) / 2) for x, arm in enumerate(study.arms)}
        plot_estimates(axis, places, results, metric, color=color, marker=marker, label=label)
    axis.set_xticks(range(len(study.arms)), [two_lines(arm_label(arm)) for arm in study.arms])
    axis.set_xlim(-0.5, len(study.arms) - 0.5)
    axis.set_ylim(0, 1.08 * max(1.0, axis.dataLim.y1))
    axis.set_ylabel("mask AP (%)")
    axis.grid(axis="y")
    axis.tick_params(axis="x", length=0)
    return axis
