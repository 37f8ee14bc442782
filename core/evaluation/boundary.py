"""Boundary IoU and boundary AP: how well the outline of a mask agrees, where the inside cannot hide it.

Cheng et al., CVPR 2021 (arXiv:2103.16562). The IoU of large masks hardly depends on their outline; Boundary IoU
compares only pixels near it. Boundary AP is mask AP with the smaller of both in place of mask IoU.
"""

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from core.datasets.masks import has_area
from core.evaluation.coco_input import comparison
from core.evaluation.coco_metrics import AP_KEYS

DILATION = 0.02  # of the diagonal of the image; the paper's choice for COCO
BOUNDARY_METRICS = tuple(f"boundary_{key}" for key in AP_KEYS)


@dataclass(frozen=True)
class Boundary:
    """Pixels of a mask near its outline, in the part of the image that holds the mask."""

    pixels: Bool[np.ndarray, "h w"]
    top: int  # px of the image
    left: int


def boundary_distance(height: int, width: int, dilation: float = DILATION) -> int:
    """How far from the outline the boundary reaches, in whole pixels, at least 1; the same for all of an image."""
    return max(round(dilation * math.sqrt(height**2 + width**2)), 1)


def boundary_of(encoding: dict, distance: int) -> Boundary:
    """The boundary of a mask (compressed run-length encoding): its pixels at most `distance` from one outside of it.

    The distance of two pixels is the larger of their distances in rows and columns. All beyond the image is outside,
    so that a mask has an outline along the sides of the image too.
    """
    left, top, width, height = (int(side) for side in coco_mask.toBbox(encoding))
    mask = coco_mask.decode(encoding)[top : top + height, left : left + width]
    if mask.size == 0:
        return Boundary(mask.astype(bool), top, left)
    square = np.ones((2 * distance + 1, 2 * distance + 1), dtype=np.uint8)
    inner = cv2.erode(np.ascontiguousarray(mask), square, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return Boundary(mask > inner, top, left)


def boundary_iou(first: Boundary, second: Boundary) -> float:
    """The IoU of the boundaries of two masks of one image; 0 if both are empty."""
    both = np.count_nonzero(_window(first, second) & _window(second, first))
    either = np.count_nonzero(first.pixels) + np.count_nonzero(second.pixels) - both
    return both / either if either else 0.0


def _window(boundary: Boundary, other: Boundary) -> Bool[np.ndarray, "h w"]:
    """The pixels of a boundary in the part of the image that both hold."""
    (height, width), (other_height, other_width) = boundary.pixels.shape, other.pixels.shape
    top, left = max(boundary.top, other.top), max(boundary.left, other.left)
    bottom = min(boundary.top + height, other.top + other_height)
    right = min(boundary.left + width, other.left + other_width)
    rows = slice(top - boundary.top, max(bottom, top) - boundary.top)
    return boundary.pixels[rows, left - boundary.left : max(right, left) - boundary.left]


def boundary_metrics(
    content: dict[str, Any],
    mask_results: list[dict],
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
    dilation: float = DILATION,
) -> dict[str, float]:
    """BOUNDARY_METRICS in percent, NaN if there is nothing to find; arguments as in `coco_metrics`.

    Everything but the IoU is as for mask AP, including sizes, which are those of whole objects. The IoU with a crowd
    region is that of masks, as in the authors' evaluation: it only says whether the detection is ignored.
    """
    if not any(has_area(annotation.get("segmentation")) for annotation in content["annotations"]):
        return dict.fromkeys(BOUNDARY_METRICS, math.nan)
    within = {"image_ids": image_ids, "category_ids": category_ids}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        run = comparison(COCO, _BoundaryEval, content, mask_results, "segm", **within)
        run.dilation = dilation
        for step in (run.evaluate, run.accumulate, run.summarize):
            step()
    values = run.stats[: len(AP_KEYS)]
    return {name: 100 * float(v) if v >= 0 else math.nan for name, v in zip(BOUNDARY_METRICS, values, strict=True)}


class _BoundaryEval(COCOeval):
    """COCO's evaluation of masks by the smaller of mask IoU and Boundary IoU."""

    dilation = DILATION

    def computeIoU(
        self, image_number: int | np.integer, category_id: int | np.integer
    ) -> Float[np.ndarray, "D G"] | list:
        """Of the best-scoring detections with each annotation of an image and class.

        Boundaries are computed only where the mask IoU reaches the lowest threshold: below, no pair matches anyway.
        """
        ious = super().computeIoU(image_number, category_id)
        if len(ious) == 0:
            return ious
        annotations, detections = (of[image_number, category_id] for of in (self._gts, self._dts))
        order = np.argsort([-detection["score"] for detection in detections], kind="mergesort")  # as in COCOeval
        height, width = annotations[0]["segmentation"]["size"]
        distance = boundary_distance(height, width, self.dilation)
        matchable = ious >= min(self.params.iouThrs)
        matchable[:, [bool(annotation["iscrowd"]) for annotation in annotations]] = False
        pairs = np.argwhere(matchable)
        found = {d: boundary_of(detections[order[d]]["segmentation"], distance) for d in set(pairs[:, 0].tolist())}
        true = {g: boundary_of(annotations[g]["segmentation"], distance) for g in set(pairs[:, 1].tolist())}
        for d, g in pairs.tolist():
            ious[d, g] = min(ious[d, g], boundary_iou(found[d], true[g]))
        return ious
