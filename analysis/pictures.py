"""The picture grid of a study: the same validation images in rows, one column an arm."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import imread

from analysis.study import Study

GROUND_TRUTH = "ground_truth"


def picture_columns(folder: Path, table: pd.DataFrame, results: pd.DataFrame, study: Study) -> dict[str, Path]:
    """Column title -> folder of its pictures: ground truth first where drawn, then each arm's first finished seed.

    An arm whose trials all failed, or that drew nothing, has no column.
    """
    columns = {}
    if (folder / GROUND_TRUTH).is_dir():
        columns["ground truth"] = folder / GROUND_TRUTH
    for arm in study.arms:
        own = results[(results["arm"] == arm) & results["mask_AP"].notna()].sort_values("seed")
        for seed, ap in zip(own["seed"], own["mask_AP"], strict=True):
            drawn = folder / f"{arm}-seed{seed}"
            if drawn.is_dir():
                columns[f"{table['label'][arm]}\nAP {ap:.1f}"] = drawn
                break
    return columns


def shared_images(columns: dict[str, Path], limit: int) -> list[str]:
    """Names of pictures that every column has, in order of name, at most `limit`."""
    names = [{path.name for path in folder.glob("*.png")} for folder in columns.values()]
    return sorted(set.intersection(*names))[:limit] if names else []


def pictures_figure(columns: dict[str, Path], images: list[str], *, cell_inches: float = 1.75) -> Figure:
    """Draw the grid; each row is as high as its image is, so that images of any shape keep theirs."""
    first = next(iter(columns.values()))
    heights = [shape[0] / shape[1] for shape in (imread(first / image).shape for image in images)]
    size = cell_inches * len(columns), cell_inches * sum(heights) + 0.07 * len(images) + 0.5
    figure = Figure(figsize=size)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.0, hspace=0.0)
    axes = figure.subplots(len(images), len(columns), squeeze=False, gridspec_kw={"height_ratios": heights})
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=9, pad=4)
    for row, image in zip(axes, images, strict=True):
        for axis, folder in zip(row, columns.values(), strict=True):
            axis.imshow(imread(folder / image), interpolation="antialiased")
            axis.set_axis_off()
    return figure
