"""The picture grid of a study: one validation image per row, one column per arm, successes and failures."""

from pathlib import Path
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import imread

from analysis.study import Study

GROUND_TRUTH = "ground_truth"
LEGEND = "dashed lines: borders of the true masks; IoU: of a mask with the true one of the object that its box matches"
LABEL = 22  # characters of a line above a column


def picture_columns(folder: Path, table: pd.DataFrame, results: pd.DataFrame, study: Study) -> dict[str, Path]:
    """Column title -> folder of pictures: the ground truth if it was drawn, then the first finished seed of each arm.

    An arm without finished trials or without pictures has no column.
    """
    columns = {}
    if (folder / GROUND_TRUTH).is_dir():
        columns["ground truth"] = folder / GROUND_TRUTH
    for arm in study.arms:
        own = results[(results["arm"] == arm) & results["mask_AP"].notna()].sort_values("seed")
        for seed, ap in zip(own["seed"], own["mask_AP"], strict=True):
            drawn = folder / f"{arm}-seed{seed}"
            if drawn.is_dir():
                columns[f"{fill(table['label'][arm], LABEL)}\nAP {ap:.1f}"] = drawn
                break
    return columns


def trials_shown(columns: dict[str, Path], results: pd.DataFrame) -> tuple[str, ...]:
    """The keys of the trials whose pictures the columns show."""
    drawn = {folder.name for folder in columns.values()}
    names = results["arm"] + "-seed" + results["seed"].astype(str)
    return tuple(results.loc[names.isin(drawn), "trial_key"])


def shared_images(columns: dict[str, Path], limit: int | None = None) -> list[str]:
    """Sorted names of the pictures that all columns have, at most `limit`."""
    names = [{path.name for path in folder.glob("*.png")} for folder in columns.values()]
    return sorted(set.intersection(*names))[:limit] if names else []


def contrasting_images(
    columns: dict[str, Path], table: pd.DataFrame, study: Study, limit: int
) -> tuple[list[str], str]:
    """Images sorted from those where two arms look most alike to those where they differ most; and which these are.

    The two arms are the one with the lowest AP and the reference arm, or the one with the highest AP if there is none.
    The weak arm is as good as the other in the first row, and fails most in the last. Half of `limit` from each end.
    """
    names = shared_images(columns)
    arms = {folder.name.rsplit("-seed", 1)[0]: folder for folder in columns.values() if folder.name != GROUND_TRUTH}
    if len(arms) < 2 or not names:
        return names[:limit], ""
    by_ap = table.loc[list(arms), "mask_AP"].sort_values(kind="stable").index
    weak, strong = by_ap[0], study.reference_arm
    if strong not in arms or strong == weak:
        strong = by_ap[-1]
    ranked = sorted(names, key=lambda name: _difference(arms[weak] / name, arms[strong] / name))
    chosen = ranked if len(ranked) <= limit else ranked[: limit - limit // 2] + ranked[len(ranked) - limit // 2 :]
    return chosen, (
        f"{len(chosen)} of {len(names)} images, from those where {table['label'][weak]} and {table['label'][strong]} "
        "look most alike to those where they differ most"
    )


def _difference(one: Path, other: Path) -> float:
    """Mean absolute difference of two pictures in brightness, which hardly depends on the colors of the instances."""
    first, second = (imread(path)[..., :3].mean(axis=-1) for path in (one, other))
    return float(np.abs(first - second).mean()) if first.shape == second.shape else float("inf")


def pictures_figure(
    columns: dict[str, Path], images: list[str], *, which: str = "", cell_inches: float = 1.75
) -> Figure:
    """Draw the grid, above LEGEND; row heights follow the images, which keep their aspect ratio.

    `which` says which images were chosen.
    """
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
    caption = "\n".join(fill(text, int(13.5 * size[0])) for text in (which, LEGEND) if text)
    figure.supxlabel(caption, fontsize=8.5, color="#404040")
    return figure
