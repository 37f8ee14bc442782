"""Box masks: annotated boxes rasterized on the mask grid."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.structures import MASK_STRIDE


def box_masks(boxes: Float[Tensor, "G 4"], h: int, w: int, stride: int = MASK_STRIDE) -> Bool[Tensor, "G h w"]:
    """Mark the cells of the mask grid, `stride` pixels wide, whose center pixel is in the rasterized box.

    As in AdelaiDet: full-resolution rows int(y1) to int(y2 + 1) - 1, and columns likewise, sampled at `[2::4, 2::4]`.
    For integer sides this is one row and one column more than the box. A box between sampled pixels has no cell.
    """
    first = boxes[:, :2].long()
    end = (boxes[:, 2:] + 1).long()
    x = torch.arange(w, device=boxes.device) * stride + stride // 2
    y = torch.arange(h, device=boxes.device) * stride + stride // 2
    columns = (x >= first[:, 0:1]) & (x < end[:, 0:1])  # G w
    rows = (y >= first[:, 1:2]) & (y < end[:, 1:2])  # G h
    return rows[:, :, None] & columns[:, None, :]
