"""Quality of masks apart from detection: of the detections whose box is right, how good are the masks?

Mask AP counts objects that were not found, and scores in the wrong order, as well as bad masks. Here only detections
count that `matched_boxes` pairs with an annotation: same class, box IoU at least 0.5, greedily in the order of scores,
so that each annotation has the best-scoring detection that chose it.
"""

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from pycocotools import mask as coco_mask

from core.datasets.masks import encode, has_area
from core.evaluation.coco_metrics import matched_boxes
from core.record import MASK_QUALITY

FILLED = 0.95  # of the pixels of a box: a mask that covers as much is the filled box; an ellipse covers 0.785


def mask_quality(
    content: dict[str, Any],
    box_results: list[dict],
    mask_results: list[dict],
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> dict[str, float]:
    """MASK_QUALITY; arguments as in `coco_metrics`. Shares and IoUs are in 0..1, not in percent.

    - mask_iou, mask_iou_median: mean and median IoU of the masks of matched detections with the true masks.
    - matched_boxes: number of matched detections. An AP of few matches says little of masks, nor does a mean over them.
    - filled_box_share: share of matched detections whose mask covers at least FILLED of the detected box's pixels,
      whatever it covers outside of it.
    - true_filled_box_share: the same of the true masks in the annotated boxes: some objects do fill their box.
    - mask_fragments: mean number of parts of a mask that do not touch, not even at a corner, over matched detections
      whose mask is not empty.

    NaN is the mean of nothing: without a match, or without true masks. An annotation without a mask counts for none of
    the means that need one.
    """
    ious, filled, true_filled, fragments = [], [], [], []
    pairs = matched_boxes(content, box_results, image_ids=image_ids, category_ids=category_ids)
    for detection, index in pairs:
        found = mask_results[detection]["segmentation"]
        height, width = found["size"]
        pixels = coco_mask.decode(found)
        filled.append(box_coverage(pixels, box_results[detection]["bbox"]) >= FILLED)
        if pixels.any():
            fragments.append(count_fragments(pixels))
        annotation = content["annotations"][index]
        if has_area(annotation.get("segmentation")):
            true = encode(annotation["segmentation"], height, width)
            ious.append(coco_mask.iou([found], [true], [0])[0, 0])
            true_filled.append(box_coverage(coco_mask.decode(true), annotation["bbox"]) >= FILLED)
    median = float(np.median(ious)) if ious else math.nan
    values = _mean(ious), median, len(pairs), _mean(filled), _mean(true_filled), _mean(fragments)
    return dict(zip(MASK_QUALITY, values, strict=True))


def matched_mask_ious(
    content: dict[str, Any],
    box_results: list[dict],
    mask_results: list[dict],
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> list[float]:
    """The IoUs of which `mask_quality` gives mean and median, in the order of classes, then images."""
    pairs = matched_boxes(content, box_results, image_ids=image_ids, category_ids=category_ids)
    ious = (_iou(mask_results[found]["segmentation"], content["annotations"][index]) for found, index in pairs)
    return [iou for iou in ious if iou is not None]


def _iou(found: dict, annotation: dict[str, Any]) -> float | None:
    """IoU of a mask (run-length encoding) with that of an annotation; None if it has none."""
    if not has_area(annotation.get("segmentation")):
        return None
    return float(coco_mask.iou([found], [encode(annotation["segmentation"], *found["size"])], [0])[0, 0])


def box_coverage(mask: UInt8[np.ndarray, "H W"], box: Sequence[float | int]) -> float:
    """Share of the pixels of a box that a mask covers; 0 for a box without pixels.

    The box is x, y, width, height in the image of the mask. A pixel belongs to it if the pixel's center does; a box
    between two rows or columns of centers has the one it starts in.
    """
    x, y, width, height = box
    rows, columns = _pixels(y, height, mask.shape[0]), _pixels(x, width, mask.shape[1])
    inside = mask[rows, columns]
    return float(np.count_nonzero(inside) / inside.size) if inside.size else 0.0


def _pixels(start: float | int, length: float | int, size: int) -> slice:
    """The pixels along an image side of this size whose centers are in a range, or the one in which it starts."""
    first = math.ceil(start - 0.5)
    end = math.ceil(start + length - 0.5)
    if end <= first:
        first, end = math.floor(start), math.floor(start) + 1
    return slice(max(first, 0), max(min(end, size), 0))


def count_fragments(mask: UInt8[np.ndarray, "H W"]) -> int:
    """Number of parts of a mask; pixels that touch at a side or a corner are of one part."""
    labels, _ = cv2.connectedComponents(np.ascontiguousarray(mask), connectivity=8)
    return labels - 1  # without the background


def _mean(values: list) -> float:
    return float(np.mean(values)) if values else math.nan
