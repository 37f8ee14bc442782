"""What a data set holds, in lines to read: images, instances, masks, sizes, classes."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import numpy as np

from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.crowds import CROWDS_ARE
from core.datasets.masks import has_area, is_empty
from core.datasets.photo import is_turned_unseen
from core.datasets.segmentation_checks import segmentation_problem


def summary(file: AnnotationFile, crowds: Literal["background", "ignore"] | None = None) -> list[str]:
    """Lines that describe the content of a split; `crowds` is `data.crowds` of the recipe, if there is one."""
    in_training = f", in training {CROWDS_ARE[crowds]}" if crowds else ""
    instances = Counter(int(label) for record in file.images for label in record.labels)
    count, with_mask = sum(instances.values()), sum(num_masks(record) for record in file.images)
    boxes = np.concatenate([record.boxes for record in file.images] or [np.zeros((0, 4))])
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    small, medium = int((sides < 32).sum()), int(((sides >= 32) & (sides < 96)).sum())
    lines = [
        f"{file.path}",
        f"  images      {len(file.images)}, {span('width', [record.width for record in file.images])}, "
        f"{span('height', [record.height for record in file.images])}",
        f"  empty       {sum(len(record.labels) == 0 for record in file.images)} images without an instance",
        f"  instances   {count}: {with_mask} with a mask, {count - with_mask} box only",
        f"  crowds      {sum(len(record.crowds) for record in file.images)}{in_training}",
        f"  left out    {sum(record.num_flat_boxes for record in file.images)} boxes of width or height 0",
        f"  clipped     {sum(record.num_clipped_boxes for record in file.images)} boxes that extend past their image"
        " (if many: boxes must be x, y, width, height)",
        f"  box sides   {small} under 32 px, {medium} under 96 px, {len(sides) - small - medium} larger",
        "  categories  label: id name (instances)",
        *(
            f"    {label}: {category_id} {name} ({instances[label]})"
            for label, (category_id, name) in enumerate(zip(file.category_ids, file.categories, strict=True))
        ),
    ]
    if turned := [r.file_name for r in file.images if is_turned_unseen(file.image_folder / r.file_name)]:
        lines.append(
            f"  rotated     {len(turned)} images that viewers rotate or mirror by EXIF, such as {turned[0]}: their "
            "size does not show which orientation the boxes refer to; pixels are used as stored, as in COCO"
        )
    return lines


def num_masks(record: ImageRecord) -> int:
    """Instances of an image whose mask can be read and has a pixel."""
    size = (record.height, record.width)
    return sum(
        has_area(segmentation)
        and segmentation_problem(segmentation, *size) is None
        and not is_empty(segmentation, *size)
        for segmentation in record.segmentations
    )


def span(name: str, values: Iterable[int]) -> str:
    values = list(values) or [0]
    return f"{name} {min(values)}" + (f" to {max(values)}" if max(values) > min(values) else "") + " px"
