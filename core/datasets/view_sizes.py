"""How large the boxes of a data set are in the views of a training, and which are too small to learn from."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from core.config import DataConfig
from core.datasets.annotation_file import ImageRecord
from core.datasets.transforms import largest_shape
from core.structures import MASK_FEATURE_STRIDE, MASK_STRIDE

SIZES = (8, 16, 32)  # px
MOSTLY_MISSED = 16.0  # px: two cells of the finest features, four cells of the mask grid
WHY_MISSED = (
    f"objects under about {MOSTLY_MISSED:g} px are mostly missed: a cell of the mask grid is {MASK_STRIDE} px, one of "
    f"the finest features {MASK_FEATURE_STRIDE} px"
)


def largest_view(record: ImageRecord, data: DataConfig, *, zoomed: bool) -> tuple[int, int]:
    """Height and width (px) of an image in the largest view of a training, with or without random zoom."""
    return largest_shape(
        record.height,
        record.width,
        short_sides=data.short_sides,
        long_side_max=data.long_side_max,
        scale_range=data.scale_range if zoomed else None,
    )


def box_sizes(record: ImageRecord, view: tuple[int, int]) -> Float[np.ndarray, "G 2"]:
    """Width and height of each box in px of a view, the whole image at this (height, width)."""
    scale = np.array([view[1] / record.width, view[0] / record.height])
    return (record.boxes[:, 2:] - record.boxes[:, :2]) * scale


def view_sides(records: Sequence[ImageRecord], data: DataConfig) -> Float[np.ndarray, " N"]:
    """Side of a square of each box's area, in px of the largest view without zoom; ordered as the records."""
    sides = [np.sqrt(box_sizes(record, largest_view(record, data, zoomed=False)).prod(1)) for record in records]
    return np.concatenate([np.zeros(0), *sides])


def share_under(sides: Float[np.ndarray, " N"], pixels: float) -> float:
    """Share of the boxes whose side is under this many px; 0 without boxes."""
    return float((sides < pixels).mean()) if len(sides) else 0.0


def seen_line(records: Sequence[ImageRecord], data: DataConfig, recipe: str) -> str:
    """One line of a summary: how many boxes are small in the views of the recipe."""
    sides = view_sides(records, data)
    counts = ", ".join(f"{int((sides < size).sum())} under {size} px" for size in SIZES)
    return f"  seen        {counts} of {len(sides)}, by the recipe {recipe} (longer side {data.long_side_max} px)"
