"""Boxes that are too small to be seen at the image sizes of a training."""

from collections.abc import Sequence

import numpy as np

from core.config import DataConfig
from core.datasets.annotation_file import ImageRecord
from core.datasets.transforms import resized_shape

SMALLEST_SIDE = 1.0  # px; a box that is narrower after augmentation is no training target


def too_small(records: Sequence[ImageRecord], data: DataConfig) -> str | None:
    """What to say of boxes with a side under SMALLEST_SIDE in the largest view of their image; None without any."""
    zoom = data.scale_range[1] if data.scale_range else 1.0
    small, largest = 0, 0
    for record in records:
        seen = resized_shape(record.height, record.width, max(data.short_sides), data.long_side_max)
        scale = zoom * np.array(seen[::-1]) / (record.width, record.height)
        sides = ((record.boxes[:, 2:] - record.boxes[:, :2]) * scale).min(1)
        small += int((sides < SMALLEST_SIDE).sum())
        largest = max(largest, *seen)
    if not small:
        return None
    count = sum(len(record.labels) for record in records)
    found = f"{small} of {count} boxes are smaller than {SMALLEST_SIDE:g} px in every view"
    return f"{found}, of at most {largest * zoom:g} px: never a target; raise data.short_sides and data.long_side_max"
