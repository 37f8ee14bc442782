"""Masks as tensors, and the parts of a mask that a sample keeps."""

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pycocotools import mask as coco_mask
from torch import Tensor

from core.structures import BACKGROUND, MASK_FEATURE_STRIDE, MASK_STRIDE


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
