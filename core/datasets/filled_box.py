"""A box as a mask: its pixels in the image file, and masks as run-length encodings."""

import numpy as np
from jaxtyping import Bool, Float
from pycocotools import mask as coco_mask


def box_pixels(box: Float[np.ndarray, " 4"], height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns of the image file in a box (xyxy, file pixels) after rounding; at least one each."""
    left, top, right, bottom = (int(side + 0.5) for side in box)
    left, top = min(left, width - 1), min(top, height - 1)
    return slice(top, max(bottom, top + 1)), slice(left, max(right, left + 1))


def filled_box(box: Float[np.ndarray, " 4"], height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """All pixels of the box."""
    mask = np.zeros((height, width), dtype=bool)
    mask[box_pixels(box, height, width)] = True
    return mask


def encode_mask(mask: Bool[np.ndarray, "H W"]) -> dict:
    """COCO run-length encoding, `counts` bytes."""
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
