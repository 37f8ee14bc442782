"""Crowds: regions that show objects which are not annotated one by one, or which nobody should be judged by.

An annotation is a crowd by `iscrowd: 1` (COCO) or `ignore: 1` (other tools, for difficult objects). It is never an
instance. In training its region is background, or ignored for all classes (`data.crowds`); in evaluation detections of
its class count neither way on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from pycocotools import mask as coco_mask
from torch import Tensor
from torchvision import tv_tensors

from core.datasets.masks import (
    Segmentation,
    decode,
    encode,
    has_area,
    is_polygons,
    parts_with_area,
    sample_cell_centers,
)
from core.datasets.transforms import View, apply_to_polygons, apply_view

CROWDS_ARE = {"background": "background", "ignore": "ignored, neither object nor background"}  # by `data.crowds`


@dataclass(frozen=True)
class Crowd:
    """A crowd of one image, in the frame of the file."""

    annotation_id: int
    box: tuple[float, float, float, float]  # xyxy, clipped to the image
    segmentation: Any  # as in the file, unchecked; None if missing

    @property
    def region(self) -> Segmentation:
        """Its mask; where there is none, its box as a polygon."""
        if has_area(self.segmentation):
            return self.segmentation
        x1, y1, x2, y2 = self.box
        return [[x1, y1, x2, y1, x2, y2, x1, y2]]


def is_crowd(annotation: Mapping[str, Any]) -> bool:
    """Whether an annotation, without problems (`annotation_problem`), is a crowd."""
    return bool(annotation.get("iscrowd") or annotation.get("ignore"))


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
