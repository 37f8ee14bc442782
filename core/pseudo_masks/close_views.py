"""Masks for given boxes from close views: each small box is looked at in an enlarged window of the photo around it.

In a view of the whole photo a person of 25 px has 6 x 6 cells of the mask grid, and its mask no shape. Windows pass the
network one at a time: on a CPU, by one thread, a batch of 4 or 8 took 1.1 to 1.7 times as long (recipe `own`, 256 px).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from core.config import Config
from core.datasets.annotation_file import ImageRecord
from core.datasets.batch import collate
from core.datasets.filled_box import encode_mask
from core.pseudo_masks.given_boxes import cut_to_box, masks_for_boxes, resized

CONTEXT = 2.0  # side of the window, in longer sides of the box
MOST_ENLARGED = 4.0  # times the view of the whole photo: a network knows objects of some range of sizes


def masks_in_boxes(
    model: nn.Module,
    record: ImageRecord,
    photo: Image.Image,
    config: Config,
    *,
    device: str,
    labeled: Bool[Tensor, " G"],
    chosen: Sequence[int],
    close_views: bool,
) -> list[tuple[dict, str | None]]:
    """The mask of each `chosen` box of a photo, cropped to the box, and the reason where it is the filled box.

    Without `close_views`, all are predicted in one view of the photo. With them, each box is predicted again, alone, in
    the window around it (`window_around`), if that is not the whole photo. Where a window shows no mask, the one in the
    view of the photo stays. `labeled` is as in `masks_for_boxes`.

    Returns COCO run-length encodings in the frame of the photo.
    """
    alone = replace(record, segmentations=(None,) * len(record.labels), crowds=())
    batch = collate([resized(alone, photo, config.data)]).to(device)
    predicted = masks_for_boxes(model, batch, config, labeled=labeled)
    found = []
    for instance in chosen:
        box, size = record.boxes[instance], (record.height, record.width)
        mask, reason = cut_to_box(predicted[instance], box, *size)
        window = window_around(box, *size)
        if close_views and window[2:] != size:
            close = mask_in_window(model, alone, instance, photo, window, config, device=device, labeled=labeled)
            seen, unseen_reason = cut_to_box(close, box, *size)
            if unseen_reason is None:
                mask, reason = seen, None
        found.append((mask, reason))
    return found


def window_around(box: Float[np.ndarray, " 4"], height: int, width: int) -> tuple[int, int, int, int]:
    """The window (top, left, height, width) in which a box (xyxy, pixels of the photo) is looked at.

    A square around the middle of the box, CONTEXT times its longer side, at least so large that the photo is enlarged
    MOST_ENLARGED times; moved into the photo, and cut where the photo is smaller.
    """
    left, top, right, bottom = box.tolist()
    side = max(CONTEXT * max(right - left, bottom - top), max(height, width) / MOST_ENLARGED)

    def span(low: float, high: float, length: int) -> tuple[int, int]:
        size = min(math.ceil(side), length)
        return min(max(round((low + high - size) / 2), 0), length - size), size

    (first_row, rows), (first_column, columns) = span(top, bottom, height), span(left, right, width)
    return first_row, first_column, rows, columns


@torch.inference_mode()
def mask_in_window(
    model: nn.Module,
    record: ImageRecord,
    instance: int,
    photo: Image.Image,
    window: tuple[int, int, int, int],
    config: Config,
    *,
    device: str,
    labeled: Bool[Tensor, " G"],
) -> dict | None:
    """The mask that the network predicts for one box in a window of the photo, in the frame of the photo."""
    top, left, height, width = window
    only = replace(
        record,
        height=height,
        width=width,
        boxes=record.boxes[instance : instance + 1] - np.array([left, top, left, top]),
        labels=record.labels[instance : instance + 1],
        annotation_ids=record.annotation_ids[instance : instance + 1],
        segmentations=(None,),
    )
    shown = photo.crop((left, top, left + width, top + height))
    batch = collate([resized(only, shown, config.data)]).to(device)
    (mask,) = masks_for_boxes(model, batch, config, labeled=labeled[instance : instance + 1])
    if mask is None:
        return None
    whole = np.zeros((record.height, record.width), dtype=bool)
    whole[top : top + height, left : left + width] = coco_mask.decode(mask)
    return encode_mask(whole)
