"""How good the masks of each arm are where their box is right: one histogram of IoUs for each arm."""

from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plots.figures import OURS, REFERENCE, figure_caption
from analysis.study import Study
from core.result_tables import NUM_BINS

COLUMNS = 5
LABEL = 24  # characters of a line above a panel
EDGES = np.linspace(0, 1, NUM_BINS + 1)


def mask_ious_figure(mask_ious: pd.DataFrame, results: pd.DataFrame, study: Study, scale: str) -> Figure:
    """One panel an arm, the masks of all its seeds together; a line shows the reference arm for comparison.

    `mask_ious` has the counts of each trial, as of `read_mask_ious`. Arms without them are omitted; one must have some.
    """
    shares = {arm: share for arm in study.arms if (share := share_of_masks(mask_ious, results, arm)) is not None}
    beside = study.reference_arm if study.reference_arm in shares else None
    columns = min(COLUMNS, len(shares))
    rows = -(-len(shares) // columns)
    figure = Figure(figsize=(max(2.1 * columns, 4.2), 1.9 * rows + 1.0))
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis, (arm, share) in zip(axes.flat, shares.items(), strict=False):
        color, other = (REFERENCE, None) if arm == beside else (OURS, shares.get(beside))
        plot_mask_ious(axis, share, other, color)
        axis.set_title(fill(study.label(arm), LABEL), fontsize=9.5)
    axes[0, 0].set_ylim(0, 1.05 * max(share.max() for share in shares.values()))  # the same for all
    for axis in list(axes.flat)[len(shares) :]:
        axis.remove()
    for place, axis in enumerate(list(axes.flat)[: len(shares)]):
        axis.tick_params(labelbottom=place + columns >= len(shares))  # above an empty place there is no other axis
    figure.supxlabel("IoU of a mask with the true one, where the box is right", fontsize=9.5)
    figure.supylabel("masks (%)", fontsize=9.5)
    line = f"; line: {study.label(beside)}" if beside else ""
    figure_caption(figure, None, f"{scale.rstrip('.')}. All seeds of an arm together{line}.")
    return figure


def has_shares(mask_ious: pd.DataFrame | None, results: pd.DataFrame) -> bool:
    """Whether an arm of the results has masks in these counts."""
    return mask_ious is not None and any(
        share_of_masks(mask_ious, results, arm) is not None for arm in results["arm"].unique()
    )


def share_of_masks(mask_ious: pd.DataFrame, results: pd.DataFrame, arm: str) -> np.ndarray | None:
    """The percentage of an arm's masks in each bin; None if it has no mask."""
    keys = results.loc[(results["arm"] == arm) & results["mask_AP"].notna(), "trial_key"]
    counts = mask_ious.loc[mask_ious.index.intersection(keys)].sum().to_numpy()
    return 100 * counts / counts.sum() if counts.sum() else None


def plot_mask_ious(axis: Axes, share: np.ndarray, other: np.ndarray | None, color: str) -> Axes:
    """The histogram of an arm, and that of another as a line."""
    axis.stairs(share, EDGES, fill=True, color=color, alpha=0.85)
    if other is not None:
        axis.stairs(other, EDGES, color="black", linewidth=1.1)
    axis.set_xlim(0, 1)
    axis.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axis.grid(axis="y")
    return axis
