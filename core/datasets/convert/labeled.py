"""Labeled images as the readers of all formats return them.

Boxes and polygons are continuous: the pixel in the top left corner reaches from 0 to 1, so that a box of whole pixels
x1 to x2 reaches from x1 to x2 + 1.
"""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool
from pycocotools import mask as coco_mask

from core.datasets.image_checks import is_class_name
from core.datasets.masks import Segmentation, encode, is_empty, is_polygons
from core.datasets.numbers import is_number
from core.datasets.segmentation_checks import segmentation_problem
from core.files.shown import shown

Number = int | float
Box = tuple[Number, Number, Number, Number]  # x1, y1, x2, y2 in px

DECIMALS = 3  # of a pixel
CROWD_MARKS = {"crowd", "difficult", "ignore", "ignored", "is_crowd", "iscrowd"}  # names of attributes and flags


@dataclass(frozen=True)
class LabeledObject:
    class_name: str
    box: Box
    segmentation: Segmentation | None = None
    crowd: bool = False  # to be ignored, in training and in evaluation


@dataclass(frozen=True)
class LabeledImage:
    path: Path  # relative to the folder
    width: int
    height: int
    objects: list[LabeledObject]
    source: Path  # the file with its labels, or the folder
    split: str | None = None  # train, val or test, where the format says so


@dataclass(frozen=True)
class LabeledSet:
    classes: list[str]  # in the order of the format
    images: list[LabeledImage]
    notes: Counter[str] = field(default_factory=Counter)  # what was left out or reinterpreted, and how often


def used_classes(images: Sequence[LabeledImage]) -> set[str]:
    return {one.class_name for image in images for one in image.objects}


class ObjectCollector:
    """Checks the objects of one image and collects them; those without area are left out and counted in `notes`.

    Every method takes the `place` of the object, for errors, and a `group`: parts of one object share it. All raise
    ValueError for what no image of this size can contain.
    """

    def __init__(self, width: int, height: int, notes: Counter[str]) -> None:
        self.width, self.height = width, height
        self.notes = notes
        self._parts: dict[Hashable, list[LabeledObject]] = {}  # by group

    def add_box(
        self, place: str, name: Any, box: Sequence[Number], *, crowd: bool = False, group: Hashable = None
    ) -> None:
        if not all(map(is_number, box)):
            raise ValueError(f"{place}: box is {shown(list(box))}, expected four finite numbers")
        self._add(place, name, box, None, crowd, group)

    def add_polygon(
        self,
        place: str,
        name: Any,
        points: Sequence[Sequence[Number]],
        *,
        crowd: bool = False,
        group: Hashable = None,
        as_box: bool = False,
    ) -> None:
        """Add the outline of an object; `as_box` if it only encloses the object, as a rotated box does."""
        if len(points) < 3:
            raise ValueError(f"{place}: polygon has {len(points)} points, expected at least 3")
        if not all(len(point) == 2 and all(map(is_number, point)) for point in points):
            raise ValueError(f"{place}: polygon is {shown(list(points))}, expected pairs of finite numbers")
        flat = [round(value, DECIMALS) for point in points for value in point]
        box = (min(flat[0::2]), min(flat[1::2]), max(flat[0::2]), max(flat[1::2]))
        self._add(place, name, box, None if as_box else [flat], crowd, group)

    def add_mask(
        self,
        place: str,
        name: Any,
        mask: Bool[np.ndarray, "h w"],
        *,
        left: int = 0,
        top: int = 0,
        crowd: bool = False,
        group: Hashable = None,
    ) -> None:
        """Add a mask, or the part of one whose top left pixel is (left, top)."""
        bottom, right = top + mask.shape[0], left + mask.shape[1]
        if min(left, top) < 0 or right > self.width or bottom > self.height:
            found = f"mask reaches from ({left}, {top}) to ({right}, {bottom})"
            raise ValueError(f"{place}: {found}, outside the image of {self.width} x {self.height} pixels")
        if not mask.any():
            self.notes["masks without a pixel are left out"] += 1
            return
        full = np.zeros((self.height, self.width), dtype=np.uint8, order="F")
        full[top:bottom, left:right] = mask
        encoding = coco_mask.encode(full)
        x, y, width, height = coco_mask.toBbox(encoding).tolist()
        self._add(place, name, (x, y, x + width, y + height), _as_json(encoding), crowd, group)

    def add_object(
        self, place: str, name: Any, box: Sequence[Number], segmentation: Segmentation, *, crowd: bool = False
    ) -> None:
        """Add a box with polygons or a compressed run-length encoding of the whole image."""
        mask = segmentation if is_polygons(segmentation) else _as_json(segmentation)
        self._add(place, name, box, mask, crowd, None)

    def _add(
        self, place: str, name: Any, box: Sequence[Number], mask: Segmentation | None, crowd: bool, group: Hashable
    ) -> None:
        if not is_class_name(name):
            raise ValueError(f"{place}: class is {shown(name)}, expected a text")
        x1, y1, x2, y2 = (round(value, DECIMALS) for value in box)
        if x2 < x1 or y2 < y1:
            found = f"box reaches from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g})"
            raise ValueError(f"{place}: {found}, expected the top left corner first")
        if x1 == x2 or y1 == y2:
            self.notes["objects of width or height 0 are left out"] += 1
            return
        outside = x1 >= self.width or y1 >= self.height or x2 <= 0 or y2 <= 0
        if outside or min(x1 + self.width, y1 + self.height, 2 * self.width - x2, 2 * self.height - y2) < 0:
            found = f"box reaches from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g})"
            raise ValueError(f"{place}: {found}, outside the image of {self.width} x {self.height} pixels")
        if mask is not None and (problem := segmentation_problem(mask, self.height, self.width)):
            raise ValueError(f"{place}: {problem}")
        if mask is not None and is_empty(mask, self.height, self.width):  # a polygon between the centers of pixels
            self.notes["masks without a pixel are left out, and their boxes kept"] += 1
            mask = None
        key = (len(self._parts),) if group is None else (group, name)
        self._parts.setdefault(key, []).append(LabeledObject(name, (x1, y1, x2, y2), mask, crowd))

    def objects(self) -> list[LabeledObject]:
        """The objects, each made of all its parts; it has a mask if all of them have."""
        return [self._united(parts) for parts in self._parts.values()]

    def _united(self, parts: list[LabeledObject]) -> LabeledObject:
        if len(parts) == 1:
            return parts[0]
        self.notes["groups of shapes are one object each"] += 1
        x1, y1, x2, y2 = zip(*(part.box for part in parts), strict=True)
        masks: list[Segmentation] = [part.segmentation for part in parts if part.segmentation is not None]
        mask: Segmentation | None = None
        if len(masks) == len(parts):
            if all(map(is_polygons, masks)):
                mask = [polygon for polygons in masks for polygon in polygons]
            else:
                mask = _as_json(coco_mask.merge([encode(part, self.height, self.width) for part in masks]))
        crowd = any(part.crowd for part in parts)
        return replace(parts[0], box=(min(x1), min(y1), max(x2), max(y2)), segmentation=mask, crowd=crowd)


def rotated(corners: Sequence[Number], degrees: Number, center: tuple[Number, Number]) -> list[tuple[float, float]]:
    """The four corners of a box x1, y1, x2, y2 after turning it clockwise, as seen on the image, about a point."""
    x1, y1, x2, y2 = corners
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    offsets = [(x - center[0], y - center[1]) for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2))]
    return [(center[0] + x * cosine - y * sine, center[1] + x * sine + y * cosine) for x, y in offsets]


def ellipse_box(x: Number, y: Number, x_radius: Number, y_radius: Number, degrees: Number) -> Box:
    """The box around an ellipse with center (x, y), turned by some degrees."""
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    half_width, half_height = (
        math.hypot(x_radius * cosine, y_radius * sine),
        math.hypot(x_radius * sine, y_radius * cosine),
    )
    return x - half_width, y - half_height, x + half_width, y + half_height


def is_crowd_marked(attributes: Mapping[str, Any]) -> bool:
    """Whether an attribute or flag says that an object is to be ignored."""
    return any(
        name.lower() in CROWD_MARKS and str(value).strip().lower() in ("true", "1", "yes")
        for name, value in attributes.items()
    )


def _as_json(encoding: dict) -> dict:
    counts = encoding["counts"]
    return {"size": list(encoding["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}
