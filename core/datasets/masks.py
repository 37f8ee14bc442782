"""COCO segmentations (polygons, run-length encodings), and the parts of a mask that a sample keeps."""

from collections.abc import Sized
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from pycocotools import mask as coco_mask
from torch import Tensor

from core.structures import BACKGROUND, MASK_FEATURE_STRIDE, MASK_STRIDE

Segmentation = list | dict  # COCO: polygons [[x1, y1, x2, y2, ...], ...], or a run-length encoding
COMPRESSED_RUNS = bytes(range(48, 48 + 64))  # the characters of a compressed run-length encoding: six bits each


def is_polygons(segmentation: Segmentation) -> bool:
    return isinstance(segmentation, list)


def segmentation_problem(segmentation: Any, height: int, width: int) -> str | None:
    """What is wrong with a segmentation in an image of this size; None if it can be rasterized."""
    if isinstance(segmentation, dict):
        return _encoding_problem(segmentation, height, width)
    if not isinstance(segmentation, list):
        return f"segmentation is {segmentation!s:.60}, expected polygons or a run-length encoding"
    for part in segmentation:
        if not isinstance(part, list) or len(part) % 2 or not all(isinstance(value, int | float) for value in part):
            return f"polygon is {part!s:.60}, expected a list of x, y, x, y, ..."
        if not np.isfinite(part).all():
            return f"polygon has a coordinate that is not finite: {part!s:.60}"
    return None


def _encoding_problem(encoding: dict, height: int, width: int) -> str | None:
    if encoding.get("size") != [height, width]:
        return f"run-length encoding has size {encoding.get('size')}, expected [{height}, {width}]"
    counts = encoding.get("counts")
    runs = run_lengths(counts) if isinstance(counts, str | bytes) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) for run in runs):
        return f"run-length encoding has counts {counts!r:.60}, expected a list of integers or its compressed form"
    if min(runs, default=0) < 0:
        return f"run-length encoding has a run of {min(runs)} pixels, expected none below 0"
    if sum(runs) != height * width:
        return f"run-length encoding covers {sum(runs)} pixels, expected {height * width}"
    return None


def run_lengths(counts: str | bytes) -> list[int] | None:
    """Decode a compressed run-length encoding to numbers of pixels off, on, off, ...; None if it is malformed.

    The format is COCO's: each character minus 48 is six bits, of which the highest says that the number continues.
    The other five bits are part of the number, lowest first; the highest bit of the number is its sign. From the
    fourth number on, each is the difference to the run two before.
    """
    counts = counts.encode(errors="surrogatepass") if isinstance(counts, str) else counts
    if counts.translate(None, COMPRESSED_RUNS):
        return None
    runs: list[int] = []
    number, num_bits = 0, 0
    for character in counts:
        bits = character - 48
        number |= (bits & 0x1F) << num_bits
        num_bits += 5
        if not bits & 0x20:
            number -= (bits >> 4) << num_bits
            runs.append(number + runs[-2] if len(runs) > 2 else number)
            number, num_bits = 0, 0
    return runs if num_bits == 0 else None


def parts_with_area(polygons: list) -> list:
    """The polygons with at least three vertices: COCO has some with fewer, on which pycocotools fails."""
    return [part for part in polygons if isinstance(part, Sized) and len(part) >= 6]


def has_area(segmentation: Any) -> bool:
    """Whether there is a mask: some tools export `[]`, and COCO has polygons of fewer than three vertices."""
    return bool(parts_with_area(segmentation)) if isinstance(segmentation, list) else segmentation is not None


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
