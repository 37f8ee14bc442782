"""Enlarge and encode only the part of a mask that holds an object: most of an image is background."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from pycocotools import mask as coco_mask
from torch import Tensor
from torch.nn import functional

from core.aligned_upsample import upsample_axis
from core.structures import MASK_STRIDE

LARGEST_SHARE = 0.4  # of the image; a larger part costs as much as the whole
# `paste_masks` rounds a probability at most 16 times, by at most 2**-25 each: 4.8e-7. A pixel that is further from 0.5
# than that is on the same side of it without these roundings.
UNDECIDED = 5e-7
NEAR_HALF = -1e-4  # logit; between cells that are all below it, no rounding reaches 0.5


@dataclass(frozen=True)
class _Axis:
    """How pixels of the file are interpolated from cells of the grid, along one axis."""

    weights: Float64[Tensor, "pixels cells"]  # each row adds up to 1
    cells_of: Int[np.ndarray, "pixels 2"]  # first cell of a pixel, and the one after its last
    pixels_of: Int[np.ndarray, "cells 2"]  # first pixel of a cell, and the one after its last; 0 pixels: (pixels, 0)


def compact_masks(
    mask_logits: Float[Tensor, "N h w"], image_size: tuple[int, int], original_size: tuple[int, int]
) -> list[dict | None]:
    """Masks as `paste_masks` encodes them, equal to the bit; None for those that it has to enlarge as a whole.

    Of each mask only the pixels are computed that a cell with a probability of 0.5 or more contributes to: elsewhere an
    average of smaller ones is not above 0.5. They are the product of the weights of rows, the cells and the weights of
    columns, in double precision. `paste_masks` rounds differently: a mask with a pixel within UNDECIDED of 0.5 is None,
    as is one whose part exceeds LARGEST_SHARE of the image.
    """
    height, width = original_size
    rows, columns = (
        _axis(cells, resized, pixels)
        for cells, resized, pixels in zip(mask_logits.shape[1:], image_size, original_size, strict=True)
    )
    row_ranges, column_ranges = (_range_of_positive(mask_logits.amax(dim)) for dim in (2, 1))
    masks: list[dict | None] = []
    for logits, of_rows, of_columns in zip(mask_logits, row_ranges, column_ranges, strict=True):
        top, bottom = _hull(rows.pixels_of[slice(*of_rows)])
        left, right = _hull(columns.pixels_of[slice(*of_columns)])
        if top >= bottom or left >= right:
            masks.append(_encode_runs(np.zeros(0, dtype=np.int64), height, width))
            continue
        if (bottom - top) * (right - left) > LARGEST_SHARE * height * width:
            masks.append(None)
            continue
        y, x = slice(*_hull(rows.cells_of[top:bottom])), slice(*_hull(columns.cells_of[left:right]))
        probabilities = logits[y, x].float().sigmoid().double()
        pixels = rows.weights[top:bottom, y] @ probabilities @ columns.weights[left:right, x].mT
        from_half = pixels.sub_(0.5).numpy()
        if np.abs(from_half).min() > UNDECIDED:  # false for NaN
            masks.append(_encode_runs(_runs(from_half > 0, top, left, height), height, width))
        else:
            masks.append(None)
    return masks


def _axis(cells: int, resized: int, pixels: int) -> _Axis:
    """The axis of a grid that covers at least `resized` pixels of the input image, which are `pixels` of the file.

    The weight of a cell is what the enlargement makes of a grid with 1 in this cell and 0 elsewhere.
    """
    units = upsample_axis(torch.eye(cells)[None, :, None], MASK_STRIDE, dim=1)[:, :resized].permute(0, 3, 1, 2)
    if pixels != resized:
        units = functional.interpolate(units, size=(pixels, 1), mode="bilinear", align_corners=False)
    weights = units[0, :, :, 0].T.double()
    contributes = weights.numpy() > 0
    return _Axis(weights, _ranges(contributes), _ranges(contributes.T))


def _ranges(contributes: Bool[np.ndarray, "n m"]) -> Int[np.ndarray, "n 2"]:
    """First true index of each row and the one after the last; (m, 0) without any."""
    m = contributes.shape[1]
    first, end = contributes.argmax(1), m - contributes[:, ::-1].argmax(1)
    some = contributes.any(1)
    return np.stack([np.where(some, first, m), np.where(some, end, 0)], axis=1)


def _hull(ranges: Int[np.ndarray, "n 2"]) -> tuple[int, int]:
    """The range that holds all these ranges, of which there may be none."""
    return (int(ranges[:, 0].min()), int(ranges[:, 1].max())) if len(ranges) else (0, 0)


def _range_of_positive(largest: Float[Tensor, "N n"]) -> list[list[int]]:
    """First and last plus one of the rows or columns of each mask whose largest logit may give a pixel above 0.5."""
    return _ranges(~(largest <= NEAR_HALF).numpy()).tolist()  # NaN counts: it reaches the check of `compact_masks`


def _runs(mask: Bool[np.ndarray, "h w"], top: int, left: int, height: int) -> Int[np.ndarray, " runs2"]:
    """Starts and ends of the runs of a mask at (top, left) of an image of this height, in column-major order."""
    rows, columns = mask.shape
    padded = np.zeros((columns, rows + 2), dtype=bool)
    padded[:, 1:-1] = mask.T
    column, row = np.divmod(np.flatnonzero(padded.ravel()[1:] != padded.ravel()[:-1]), rows + 2)
    changes = (left + column) * height + top + row
    joined = np.flatnonzero(changes[1:-1:2] == changes[2::2])  # from the last row of a column to the first of the next
    return np.delete(changes, np.concatenate([2 * joined + 1, 2 * joined + 2]))


def _encode_runs(changes: Int[np.ndarray, " runs2"], height: int, width: int) -> dict:
    """COCO run-length encoding (`size` (H, W), `counts` bytes) from starts and ends of runs in column-major order."""
    counts = np.diff(changes, prepend=0, append=height * width).tolist()
    if counts[-1] == 0:  # the last run reaches the last pixel
        counts.pop()
    return coco_mask.frPyObjects({"size": [height, width], "counts": counts}, height, width)
