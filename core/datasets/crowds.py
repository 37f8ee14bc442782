"""Crowds: regions that show objects which are not annotated one by one, or which nobody should be judged by.

An annotation is a crowd by `iscrowd: 1` (COCO) or `ignore: 1` (other tools, for difficult objects). It is never an
instance. In training its region is background, or ignored for all classes (`data.crowds`); in evaluation detections of
its class count neither way on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.datasets.masks import Segmentation, has_area

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
