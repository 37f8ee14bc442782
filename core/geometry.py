"""Frames: locations of a pyramid level, ltrb and xyxy boxes, pasted region masks."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from core.structures import MASK_STRIDE


def pyramid_locations(
    level_sizes: list[tuple[int, int]], strides: list[int], device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "P 2"], Int64[Tensor, " P"], Int64[Tensor, " P"]]:
    """Locations of all levels, level first, then row-major cells: cell i at stride s is at `i*s + s//2`.

    FCOS (arXiv:1904.01355), section 3.1. Returns (x, y) in input pixels, the level's index and its stride.
    """
    locations, level_index, stride_of = [], [], []
    for level, ((height, width), stride) in enumerate(zip(level_sizes, strides, strict=True)):
        y = torch.arange(height, device=device) * stride + stride // 2
        x = torch.arange(width, device=device) * stride + stride // 2
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        locations.append(torch.stack([grid_x.reshape(-1), grid_y.reshape(-1)], dim=1).float())
        level_index.append(torch.full((height * width,), level, dtype=torch.int64, device=device))
        stride_of.append(torch.full((height * width,), stride, dtype=torch.int64, device=device))
    return torch.cat(locations), torch.cat(level_index), torch.cat(stride_of)


def boxes_from_ltrb(locations: Float[Tensor, "*n 2"], ltrb: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Boxes (xyxy) whose sides are `ltrb` away from each location, all in input pixels."""
    return torch.cat([locations - ltrb[..., :2], locations + ltrb[..., 2:]], dim=-1)


def ltrb_from_boxes(locations: Float[Tensor, "*n 2"], boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Distances from each location to the left, top, right and bottom side; negative outside the box."""
    return torch.cat([locations - boxes[..., :2], boxes[..., 2:] - locations], dim=-1)


def centerness_from_ltrb(ltrb: Float[Tensor, "*n 4"]) -> Float[Tensor, " *n"]:
    """FCOS centerness, equation 3: sqrt(min(l,r)/max(l,r) * min(t,b)/max(t,b)), 1 at the box center, 0 at its sides.

    Expects locations inside their box (all distances > 0).
    """
    left_right, top_bottom = ltrb[..., 0::2], ltrb[..., 1::2]
    ratio_x = left_right.amin(-1) / left_right.amax(-1)
    ratio_y = top_bottom.amin(-1) / top_bottom.amax(-1)
    return (ratio_x * ratio_y).sqrt()


def paste_on_grid(
    region_logits: Float[Tensor, "N m m"], boxes: Float[Tensor, "N 4"], h: int, w: int, *, outside: float
) -> Float[Tensor, "N h w"]:
    """Paste masks that are relative to boxes into the mask grid of the image, with gradient; `outside` elsewhere.

    Each box, in input pixels, is divided into m x m equal cells. Cell (i, j) of the grid is pixel (4i + 2, 4j + 2); if
    its center is in the box, its logit is interpolated between the centers of the cells around it, and beyond the outer
    cells' centers it is theirs.
    """
    x1, y1, x2, y2 = boxes.unbind(1)
    cells = region_logits.shape[-1]
    rows, in_rows = _cell_weights(y1, y2, cells, h)
    columns, in_columns = _cell_weights(x1, x2, cells, w)
    pasted = rows @ region_logits @ columns.mT
    return pasted.where(in_rows[:, :, None] & in_columns[:, None], outside)


def _cell_weights(
    start: Float[Tensor, " N"], end: Float[Tensor, " N"], cells: int, size: int
) -> tuple[Float[Tensor, "N size cells"], Bool[Tensor, "N size"]]:
    """For each of `size` positions of the mask grid along an axis: weights of the box's cells, and if it is inside."""
    centers = torch.arange(size, device=start.device) * MASK_STRIDE + MASK_STRIDE // 2 + 0.5
    inside = (centers >= start[:, None]) & (centers < end[:, None])
    position = (centers - start[:, None]) / (end - start)[:, None] * cells - 0.5  # in cells, 0: center of the first
    position = position.clamp(0, cells - 1)
    distance = (position[:, :, None] - torch.arange(cells, device=start.device)).abs()
    return (1 - distance).clamp(min=0), inside
