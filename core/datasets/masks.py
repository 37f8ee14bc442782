"""COCO segmentations (polygons, run-length encodings), and the parts of a mask that a sample keeps."""

from collections.abc import Sized
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pycocotools import mask as coco_mask
from torch import Tensor

from core.structures import BACKGROUND, MASK_FEATURE_STRIDE, MASK_STRIDE

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


def decode(encodings: list[dict], height: int, width: int) -> UInt8[Tensor, "G H W"]:
    """Masks of 0 and 1 at full resolution, in the order given."""
    if not encodings:
        return torch.zeros(0, height, width, dtype=torch.uint8)
    return torch.from_numpy(coco_mask.decode(encodings).transpose(2, 0, 1))


def sample_cell_centers(masks: UInt8[Tensor, "G H W"]) -> Bool[Tensor, "G h w"]:
    """Sample masks on the stride-4 grid: the pixel at the center of each cell, no averaging (AdelaiDet)."""
    return masks[:, MASK_STRIDE // 2 :: MASK_STRIDE, MASK_STRIDE // 2 :: MASK_STRIDE].bool()


def semantic_labels(masks: UInt8[Tensor, "G H W"], labels: Int64[Tensor, " G"]) -> Int64[Tensor, "i j"]:
    """The class at the center of each stride-8 cell: that of the smallest mask there, or BACKGROUND (AdelaiDet).

    Size means the area of the full mask, so that a small instance on top of a large one stays visible.
    """
    middle = MASK_FEATURE_STRIDE // 2
    shown = masks[:, middle::MASK_FEATURE_STRIDE, middle::MASK_FEATURE_STRIDE].bool()
    classes = torch.full(shown.shape[1:], BACKGROUND)
    for index in masks.sum((1, 2)).argsort(stable=True).flip(0):  # the largest first: smaller ones cover it
        classes[shown[index]] = labels[index]
    return classes


def centers_of_mass(masks: UInt8[Tensor, "G H W"], otherwise: Float[Tensor, "G 2"]) -> Float[Tensor, "G 2"]:
    """Mean (x, y) index of the pixels of each full-resolution mask; `otherwise` where a mask is empty."""
    rows, columns = masks.sum(2).float(), masks.sum(1).float()
    areas = rows.sum(1)
    x = columns @ torch.arange(columns.shape[1]).float()
    y = rows @ torch.arange(rows.shape[1]).float()
    centers = torch.stack([x, y], dim=1) / areas.clamp(min=1)[:, None]
    return torch.where((areas > 0)[:, None], centers, otherwise)
