"""The two cues that a box provides, on one photo: projections and edges of similar color (BoxInst, figure 2)."""

import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch, Rectangle

KEYS = ("image", "box", "x_profile", "y_profile", "offsets", "similarity", "temperature", "mask_stride")
THRESHOLDS = (0.1, 0.3)  # of the paper and of the released code
LEVEL_COLORS = ("#26323F", "#E69F00", "#FFF3D0")  # dark to light, also in grayscale
BOX_COLOR = "#0072B2"
DAMAGE = (BadZipFile, zlib.error, EOFError, TypeError, AttributeError, NotImplementedError)  # what numpy raises for it
VEIL = 0.6  # opacity of the white outside the box


def read_consistency(path: str | Path) -> dict[str, np.ndarray]:
    """Read the arrays of the figure; `similarity` (E, h, w) is in the order of `offsets`, (dy, dx) in mask grid cells.

    Raises:
        ValueError: if the file is damaged, arrays are missing or the neighborhood is not 3x3.
    """
    try:
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
    except (*DAMAGE, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as the arrays of the figure: {error}") from error
    missing = [key for key in KEYS if key not in arrays]
    if missing:
        raise ValueError(f"{path}: arrays missing: {', '.join(missing)}; found {', '.join(arrays)}")
    if len(arrays["offsets"]) != 8:
        raise ValueError(f"{path}: {len(arrays['offsets'])} neighbors, expected the 8 of a 3x3 neighborhood")
    return arrays


def consistency_figure(arrays: dict[str, np.ndarray]) -> Figure:
    """Left: the photo with its box and both projections. Right: one map per neighbor, arranged like the neighbors."""
    figure = Figure(figsize=(10.6, 6.1))
    left, right = figure.subfigures(1, 2, width_ratios=[1, 1.04])
    left.suptitle(
        "(a) Projections of the box: in each column and row that it\n"
        "crosses the mask must reach 1, in all others stay 0.",
        x=0.04, ha="left", fontsize=10,
    )  # fmt: skip
    right.suptitle(
        "(b) Color similarity with the neighbor at (x, y) cells,\n"
        rf"$S = \exp(-\|\Delta\mathrm{{LAB}}\|\,/\,{float(arrays['temperature']):g})$: "
        "similar pixels take the same label.",
        x=0.02, ha="left", fontsize=10,
    )  # fmt: skip
    _draw_photo(left, arrays)
    _draw_maps(right, arrays)
    paper, released = THRESHOLDS
    names = [
        rf"$S < {paper:g}$: says nothing",
        rf"${paper:g} \leq S < {released:g}$: counts for the paper's $\tau$",
        rf"$S \geq {released:g}$: counts for the released code's $\tau$ as well",
    ]
    handles = [Patch(facecolor=color, edgecolor="#404040", linewidth=0.6) for color in LEVEL_COLORS]
    figure.legend(handles, names, loc="outside lower center", ncols=3)
    return figure


def _draw_photo(figure: SubFigure, arrays: dict[str, np.ndarray]) -> None:
    height, width = arrays["image"].shape[:2]
    columns, rows = (np.arange(0, side + 1, int(arrays["mask_stride"])) for side in (width, height))
    photo = figure.subplots()
    above, beside = photo.inset_axes((0, 1.03, 1, 0.11)), photo.inset_axes((1.03, 0, 0.11, 1))
    photo.imshow(arrays["image"])
    _draw_box(photo, arrays["box"], 2.2)
    photo.set(xticks=[], yticks=[])
    above.stairs(arrays["x_profile"], columns, fill=True, color=BOX_COLOR)
    above.set(xlim=(0, width), ylim=(0, 1.15), xticks=[], yticks=[0, 1])
    beside.stairs(arrays["y_profile"], rows, fill=True, color=BOX_COLOR, orientation="horizontal")
    beside.set(ylim=(height, 0), xlim=(0, 1.15), yticks=[], xticks=[0, 1])
    above.set_ylabel("onto x", fontsize=8.5)
    beside.set_xlabel("onto y", fontsize=8.5)
    for axis in (above, beside):
        axis.tick_params(labelsize=8)


def _draw_maps(figure: SubFigure, arrays: dict[str, np.ndarray]) -> None:
    axes = figure.subplots(3, 3)
    dilation = int(np.abs(arrays["offsets"]).max())
    box = arrays["box"] / int(arrays["mask_stride"])
    for (dy, dx), similarity in zip(arrays["offsets"].tolist(), arrays["similarity"], strict=True):
        axis = plot_similarity(axes[dy // dilation + 1, dx // dilation + 1], similarity, box)
        axis.set_title(f"{_signed(dx)}, {_signed(dy)}", fontsize=8, pad=2)
    plot_neighborhood(axes[1, 1], arrays["offsets"])


def plot_similarity(axis: Axes, similarity: np.ndarray, box: np.ndarray) -> Axes:
    """Draw the similarity of one neighbor in three levels, paler outside the box (xyxy, cells)."""
    h, w = similarity.shape
    extent = (0, w, h, 0)
    level = np.digitize(similarity, np.array(THRESHOLDS, dtype=similarity.dtype))
    axis.imshow(level, cmap=ListedColormap(LEVEL_COLORS), vmin=0, vmax=2, extent=extent, interpolation="nearest")
    veil = np.full((h, w, 4), (1.0, 1.0, 1.0, VEIL))
    x1, y1, x2, y2 = np.round(box).astype(int)
    veil[y1:y2, x1:x2, 3] = 0
    axis.imshow(veil, extent=extent, interpolation="nearest")
    _draw_box(axis, box, 1.5)
    axis.set(xticks=[], yticks=[])
    return axis


def plot_neighborhood(axis: Axes, offsets: np.ndarray) -> Axes:
    """Draw a pixel and its edges to the neighbors, on the mask grid."""
    reach = int(np.abs(offsets).max()) + 0.5
    for dy, dx in offsets.tolist():
        axis.plot([0, dx], [0, dy], color="#56606B", linestyle="-", linewidth=1.0, zorder=1)
        axis.plot(dx, dy, "s", color="white", markeredgecolor="#404040", markersize=8, zorder=2)
    axis.plot(0, 0, "s", color="#404040", markersize=8, zorder=2)
    cells = np.arange(-reach, reach + 1)
    axis.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    axis.set_xticks(cells, [""] * len(cells))
    axis.set_yticks(cells, [""] * len(cells))
    axis.grid(True)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title("a pixel's edges", fontsize=8, pad=2)
    return axis


def _draw_box(axis: Axes, box: np.ndarray, linewidth: float) -> None:
    x1, y1, x2, y2 = box.tolist()
    for color, width in (("white", 2 * linewidth), (BOX_COLOR, linewidth)):  # white outline, for any background
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=width))


def _signed(value: int) -> str:
    return f"${value:+d}$" if value else "0"
