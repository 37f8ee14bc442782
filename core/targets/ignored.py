"""Ignored regions of a batch, and which locations of the pyramid lie in one."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from core.structures import MASK_STRIDE, Annotations


def ignored_cells(annotations: list[Annotations]) -> Bool[Tensor, "B h w"] | None:
    """The ignored cells of the mask grid of each image; None if no image has any."""
    if all(of_image.ignored is None for of_image in annotations):
        return None
    nothing = torch.zeros_like(next(of_image.ignored for of_image in annotations if of_image.ignored is not None))
    return torch.stack([nothing if of_image.ignored is None else of_image.ignored for of_image in annotations])


def ignored_locations(cells: Bool[Tensor, "B h w"], locations: Float[Tensor, "P 2"]) -> Bool[Tensor, "B P"]:
    """Mark the locations whose cell of the mask grid is ignored, of whatever level.

    Never those beyond the grid: the coarsest levels may extend past the padded image.
    """
    h, w = cells.shape[1:]
    x, y = locations.div(MASK_STRIDE, rounding_mode="floor").long().unbind(1)
    on_grid = (x < w) & (y < h)
    return cells[:, y.clamp(max=h - 1), x.clamp(max=w - 1)] & on_grid
