"""The regions of crowds after a view of the image: what training ignores."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision import tv_tensors

from core.datasets.crowds import Crowd
from core.datasets.mask_tensors import decode, sample_cell_centers
from core.datasets.masks import encode, is_polygons, parts_with_area
from core.datasets.transforms import View, apply_to_polygons, apply_view


def ignored_cells(crowds: Sequence[Crowd], view: View, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """Mark the cells of the mask grid whose center is in one of the regions after the view.

    Like masks, polygons are transformed, then rasterized, and run-length encodings are decoded, then transformed; here
    all regions at once. `size` is the (height, width) of the file.
    """
    regions = [crowd.region for crowd in crowds]
    polygons = [part for region in regions if is_polygons(region) for part in parts_with_area(region)]
    encodings = [encode(region, *size) for region in regions if not is_polygons(region)]
    marked = torch.zeros(1, *view.size, dtype=torch.uint8)
    if polygons:
        marked |= decode([encode(apply_to_polygons(polygons, view, size), *view.size)], *view.size)
    if encodings:
        marked |= apply_view(decode([coco_mask.merge(encodings)], *size), view)
    return sample_cell_centers(marked)[0]


def ignored_boxes(crowds: Sequence[Crowd], view: View, size: tuple[int, int]) -> Float[Tensor, "R 4"]:
    """The boxes of the regions after the view, without those that it does not show; `size` as in `ignored_cells`."""
    boxes = torch.tensor([crowd.box for crowd in crowds], dtype=torch.float64).reshape(-1, 4)
    placed = apply_view(tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=size), view).as_subclass(Tensor)
    return placed[(placed[:, 2:] > placed[:, :2]).all(1)].float()
