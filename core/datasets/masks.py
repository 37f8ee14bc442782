"""COCO segmentations: polygons and run-length encodings. Does not import torch, as planning a sweep needs them."""

from collections.abc import Sized
from typing import Any

from pycocotools import mask as coco_mask

Segmentation = list | dict  # COCO: polygons [[x1, y1, x2, y2, ...], ...], or a run-length encoding
FILLED_BOX = {"mask_source": "box"}  # in an annotation whose mask `core.annotate` took from its box


def is_polygons(segmentation: Segmentation) -> bool:
    return isinstance(segmentation, list)


def parts_with_area(polygons: list) -> list:
    """The polygons with at least three vertices: COCO has some with fewer, on which pycocotools fails."""
    return [part for part in polygons if isinstance(part, Sized) and len(part) >= 6]


def has_area(segmentation: Any) -> bool:
    """Whether there is a mask: some tools export `[]`, and COCO has polygons of fewer than three vertices."""
    return bool(parts_with_area(segmentation)) if isinstance(segmentation, list) else segmentation is not None


def is_filled_box(annotation: dict[str, Any]) -> bool:
    """Whether the mask of an annotation is marked as its filled box."""
    return FILLED_BOX.items() <= annotation.items()


def is_empty(segmentation: Segmentation, height: int, width: int) -> bool:
    """Whether a mask, without problems (`segmentation_problem`), has no pixel in an image of this size."""
    return int(coco_mask.area(encode(segmentation, height, width))) == 0


def encode(segmentation: Segmentation, height: int, width: int) -> dict:
    """Compressed run-length encoding of the union of polygons, or of a compressed or uncompressed encoding."""
    if is_polygons(segmentation):
        return coco_mask.merge(coco_mask.frPyObjects(parts_with_area(segmentation), height, width))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation
