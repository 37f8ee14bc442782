"""COCO segmentations (polygons, run-length encodings) and what a sample keeps of a mask."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from pycocotools import mask as coco_mask
from torch import Tensor

from core.structures import MASK_STRIDE

Segmentation = list | dict  # COCO: polygons [[x1, y1, x2, y2, ...], ...], or a run-length encoding


def is_polygons(segmentation: Segmentation) -> bool:
    return isinstance(segmentation, list)


def segmentation_problem(segmentation: Any, height: int, width: int) -> str | None:
    """What is wrong with the segmentation of an image of this size; None if it can be rasterized."""
    if isinstance(segmentation, dict):
        if segmentation.get("size") != [height, width]:
            return f"run-length encoding has size {segmentation.get('size')}, expected [{height}, {width}]"
        counts = segmentation.get("counts")
        if isinstance(counts, list) and sum(counts) != height * width:
            return f"run-length encoding covers {sum(counts)} pixels, expected {height * width}"
        return None if isinstance(counts, list | str | bytes) else f"run-length encoding has counts {counts!r}"
    if not isinstance(segmentation, list):
        return f"segmentation is {segmentation!s:.60}, expected polygons or a run-length encoding"
    for part in segmentation:
        if not isinstance(part, list) or len(part) % 2 or not all(isinstance(value, int | float) for value in part):
            return f"polygon is {part!s:.60}, expected a list of x, y, x, y, ..."
        if not np.isfinite(part).all():
            return f"polygon has a coordinate that is not finite: {part!s:.60}"
    return None


def has_area(segmentation: Any) -> bool:
    """Whether there is a mask at all: exporters write `[]`, and COCO has polygons of fewer than three vertices."""
    return any(len(part) >= 6 for part in segmentation) if isinstance(segmentation, list) else segmentation is not None


def encode(segmentation: Segmentation, height: int, width: int) -> dict:
    """Compressed run-length encoding of the union of the polygons, or of either form of run-length encoding."""
    if is_polygons(segmentation):
        parts = [part for part in segmentation if len(part) >= 6]
        return coco_mask.merge(coco_mask.frPyObjects(parts, height, width))
    if isinstance(segmentation["counts"], list):
        return coco_mask.frPyObjects(segmentation, height, width)
    return segmentation


def decode(encodings: list[dict], height: int, width: int) -> UInt8[Tensor, "G H W"]:
    """Masks of 0 and 1 at full resolution, in the order given."""
    if not encodings:
        return torch.zeros(0, height, width, dtype=torch.uint8)
    return torch.from_numpy(coco_mask.decode(encodings).transpose(2, 0, 1))


def sample_cell_centers(masks: UInt8[Tensor, "G H W"]) -> Bool[Tensor, "G h w"]:
    """The masks on the stride-4 grid: the pixel at each cell's center, no averaging (AdelaiDet)."""
    return masks[:, MASK_STRIDE // 2 :: MASK_STRIDE, MASK_STRIDE // 2 :: MASK_STRIDE].bool()


def centers_of_mass(masks: UInt8[Tensor, "G H W"], otherwise: Float[Tensor, "G 2"]) -> Float[Tensor, "G 2"]:
    """Mean (x, y) index of the pixels of each full-resolution mask; `otherwise` where a mask is empty (CondInst)."""
    rows, columns = masks.sum(2).float(), masks.sum(1).float()
    areas = rows.sum(1)
    x = columns @ torch.arange(columns.shape[1]).float()
    y = rows @ torch.arange(rows.shape[1]).float()
    centers = torch.stack([x, y], dim=1) / areas.clamp(min=1)[:, None]
    return torch.where((areas > 0)[:, None], centers, otherwise)
