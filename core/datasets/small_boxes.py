"""Boxes that are too small to be seen at the image sizes of a training."""

from collections.abc import Sequence

from core.config import DataConfig
from core.datasets.annotation_file import ImageRecord
from core.datasets.view_sizes import box_sizes, largest_view

SMALLEST_SIDE = 1.0  # px; a box that is narrower after augmentation is no training target


def too_small(records: Sequence[ImageRecord], data: DataConfig) -> str | None:
    """What to say of boxes with a side under SMALLEST_SIDE in the largest view of their image; None without any."""
    small, largest = 0, 0
    for record in records:
        view = largest_view(record, data, zoomed=True)
        small += int((box_sizes(record, view).min(1) < SMALLEST_SIDE).sum())
        largest = max(largest, *view)
    if not small:
        return None
    count = sum(len(record.labels) for record in records)
    found = f"{small} of {count} boxes are smaller than {SMALLEST_SIDE:g} px in every view"
    return f"{found}, of at most {largest} px: never a target; raise data.short_sides and data.long_side_max"
