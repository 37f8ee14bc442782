"""How large the boxes of a data set are in the views of a training, and which are too small to learn from."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from core.config import DataConfig
from core.datasets.annotation_file import ImageRecord
from core.datasets.transforms import resized_shape
from core.structures import MASK_FEATURE_STRIDE, MASK_STRIDE

SIZES = (8, 16, 32)  # px
MOSTLY_MISSED = 16.0  # px: two cells of the finest features, four cells of the mask grid
WHY_MISSED = (
    f"objects under about {MOSTLY_MISSED:g} px are mostly missed: a cell of the mask grid is {MASK_STRIDE} px, one of "
    f"the finest features {MASK_FEATURE_STRIDE} px"
)


def view_sides(records: Sequence[ImageRecord], data: DataConfig) -> Float[np.ndarray, " N"]:
    """Side of a square of each box's area, in px of the largest view without zoom; ordered as the records."""
    sides = [np.zeros(0)]
    for record in records:
        seen = resized_shape(record.height, record.width, max(data.short_sides), data.long_side_max)
        scale = np.sqrt(seen[0] * seen[1] / (record.height * record.width))
        sides.append(np.sqrt((record.boxes[:, 2:] - record.boxes[:, :2]).prod(1)) * scale)
    return np.concatenate(sides)


def share_under(sides: Float[np.ndarray, " N"], pixels: float) -> float:
    """Share of the boxes whose side is under this many px; 0 without boxes."""
    return float((sides < pixels).mean()) if len(sides) else 0.0


def seen_line(records: Sequence[ImageRecord], data: DataConfig, recipe: str) -> str:
    """One line of a summary: how many boxes are small in the views of the recipe."""
    sides = view_sides(records, data)
    counts = ", ".join(f"{int((sides < size).sum())} under {size} px" for size in SIZES)
    return f"  seen        {counts} of {len(sides)}, by the recipe {recipe} (longer side {data.long_side_max} px)"
