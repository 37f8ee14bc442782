"""Sizes, fill and overlap of the objects of one image."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Outlines:
    """Of each of the N objects of an image; areas are counted in pixels."""

    box_side: Float[np.ndarray, " N"]  # sqrt(box area / image area)
    size: Float[np.ndarray, " N"]  # sqrt(mask area / image area)
    fill: Float[np.ndarray, " N"]  # mask area / box area
    boxes_over: Float[np.ndarray, " N"]  # share of the box that lies in boxes of other objects
    masks_beside: Float[np.ndarray, " N"]  # share of the box that lies in masks of other objects and not in its own
    masks_over: Float[np.ndarray, " N"]  # share of the mask that lies in other masks, too


def measure_outlines(masks: Bool[np.ndarray, "N H W"], boxes: Float[np.ndarray, "N 4"]) -> Outlines:
    """Measure the objects of an image by their masks and boxes (xyxy, px, inside the image).

    A pixel is in a box if its center is; a box counts as at least one pixel.
    """
    _, height, width = masks.shape
    box_areas, boxes_over, masks_beside, masks_over = (np.zeros(len(masks)) for _ in range(4))
    inside = [_in_box(box, height, width) for box in boxes]
    num_boxes = np.zeros((height, width), dtype=np.int64)  # boxes at each pixel
    for rows, columns in inside:
        num_boxes[rows, columns] += 1
    num_masks, areas = masks.sum(0), masks.sum((1, 2))
    for i, place in enumerate(inside):
        box_areas[i] = max(num_boxes[place].size, 1)
        boxes_over[i] = (num_boxes[place] > 1).sum() / box_areas[i]
        masks_beside[i] = ((num_masks[place] > 0) & ~masks[i][place]).sum() / box_areas[i]
        masks_over[i] = (num_masks[masks[i]] > 1).sum() / max(areas[i], 1)
    return Outlines(
        box_side=np.sqrt(box_areas / (height * width)),
        size=np.sqrt(areas / (height * width)),
        fill=np.minimum(areas / box_areas, 1),
        boxes_over=boxes_over,
        masks_beside=masks_beside,
        masks_over=masks_over,
    )


def _in_box(box: Float[np.ndarray, "4"], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns whose centers are in the box."""
    x1, y1, x2, y2 = (int(np.ceil(side - 0.5)) for side in box)
    return slice(max(y1, 0), min(y2, height)), slice(max(x1, 0), min(x2, width))
