"""labelme: a JSON file for each image, with a list of shapes.

Coordinates are continuous pixels. Shapes of one label and `group_id` are parts of one object.
"""

import base64
import binascii
import io
from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Bool
from PIL import Image

from core.datasets.convert.image_folder import NO_CLASSES, ImageFolder
from core.datasets.convert.labeled import LabeledImage, LabeledSet, ObjectCollector, is_crowd_marked, used_classes
from core.datasets.convert.splits import splits_by_folder
from core.datasets.numbers import is_number
from core.files.json_file import read_json
from core.files.shown import shown


def recognizes(content: Any) -> bool:
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content


def read(folder: ImageFolder) -> LabeledSet:
    """Read all JSON files: rectangles, circles, polygons and masks; points and lines are left out.

    Raises:
        ValueError: for anything that is not as expected; names file and shape.
    """
    notes: Counter[str] = Counter()
    images = []
    split_of = splits_by_folder(folder.images)
    for path in folder.with_ending(".json"):
        place = str(folder.full(path))
        content, _ = read_json(folder.full(path))
        if not recognizes(content) or not isinstance(content["shapes"], list):
            raise ValueError(f"{place}: expected an object with `shapes` and `imagePath`, as labelme writes it")
        image = folder.find(str(content["imagePath"]), place, beside=path, stem=path.stem)
        sides = content.get("imageWidth"), content.get("imageHeight")
        declared = sides if all(type(side) is int for side in sides) else None
        width, height = folder.size(image, place, declared)
        found = ObjectCollector(width, height, notes)
        for index, shape in enumerate(content["shapes"]):
            if not isinstance(shape, dict):
                raise ValueError(f"{place}, shape {index}: is {shown(shape)}, expected an object")
            if shape.get("label") in NO_CLASSES:
                notes["shapes of labelme's own labels, such as __ignore__, are left out"] += 1
                continue
            _add_shape(found, shape, f"{place}, shape {index}")
        images.append(LabeledImage(image, width, height, found.objects(), path, split_of[image]))
    if not images:
        raise ValueError(f"{folder.root}: found no JSON file, expected one for each image")
    return LabeledSet(folder.class_order(used_classes(images)), images, notes)


def _add_shape(found: ObjectCollector, shape: dict[str, Any], place: str) -> None:
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if kind not in ("rectangle", "circle", "polygon", "mask"):
        found.notes[f"shapes of type {shown(kind)} are left out"] += 1
        return
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 and all(map(is_number, point)) for point in points
    ):
        raise ValueError(f"{place}: points are {shown(points)}, expected pairs of finite numbers")
    flags = shape.get("flags") if isinstance(shape.get("flags"), dict) else {}
    group = shape.get("group_id")
    if not isinstance(group, int | str | None):
        raise ValueError(f"{place}: group_id is {shown(group)}, expected an integer or null")
    marks = {"crowd": is_crowd_marked(flags | {"difficult": shape.get("difficult")}), "group": group}
    label = shape.get("label")
    if kind == "polygon":
        found.add_polygon(place, label, points, **marks)
        return
    if kind == "rectangle" and len(points) == 4:  # turned, in newer versions
        found.add_polygon(place, label, points, as_box=True, **marks)
        return
    if len(points) != 2:
        raise ValueError(f"{place}: {kind} has {len(points)} points, expected 2")
    (x1, y1), (x2, y2) = points
    if kind == "circle":  # the center, and a point on it
        radius = float(np.hypot(x2 - x1, y2 - y1))
        found.add_box(place, label, (x1 - radius, y1 - radius, x1 + radius, y1 + radius), **marks)
    elif kind == "rectangle":  # any two opposite corners
        found.add_box(place, label, (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), **marks)
    else:
        mask = _mask(shape.get("mask"), place)
        size = (round(y2) - round(y1) + 1, round(x2) - round(x1) + 1)  # from the first to the last pixel
        if mask.shape != size:
            raise ValueError(
                f"{place}: mask has {mask.shape[1]} x {mask.shape[0]} pixels, its points {size[1]} x {size[0]}"
            )
        found.add_mask(place, label, mask, left=round(x1), top=round(y1), **marks)


def _mask(encoded: Any, place: str) -> Bool[np.ndarray, "h w"]:
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded or "", validate=True)), formats=["PNG"]) as image:
            return np.asarray(image.convert("L")) > 0
    except (TypeError, ValueError, OSError, SyntaxError, binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError(f"{place}: mask cannot be read as a PNG image in base64 ({error})") from error
