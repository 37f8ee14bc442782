"""Label Studio: a JSON file with a list of tasks, one for each image (export as JSON or JSON-MIN).

Coordinates are percent of the image's width and height.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from core.datasets.convert.brush import decode_brush
from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import (
    LabeledImage,
    LabeledSet,
    ObjectCollector,
    ellipse_box,
    rotated,
    used_classes,
)
from core.datasets.convert.splits import splits_by_folder
from core.datasets.numbers import is_number
from core.files.json_file import read_json
from core.files.shown import shown

KINDS = ("rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels")  # also the keys of the labels
UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")  # that Label Studio puts before the names of uploaded files


def recognizes(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(isinstance(task, dict) for task in content)


def read(folder: ImageFolder) -> LabeledSet:
    """Read all JSON files: rectangles, polygons, brush masks, and ellipses as boxes; predictions are not read.

    A task without an annotation is left out: nobody has looked at its image. Of several annotations of a task, that
    marked as ground truth is read, else the first.

    Raises:
        ValueError: for anything that is not as expected; names file, task and region.
    """
    notes: Counter[str] = Counter()
    images = []
    split_of = splits_by_folder(folder.images)
    for path in folder.with_ending(".json"):
        content, _ = read_json(folder.full(path))
        if not recognizes(content):
            raise ValueError(f"{folder.full(path)}: expected a list of tasks, as Label Studio exports it")
        for index, task in enumerate(content):
            place = f"{folder.full(path)}, task {shown(task.get('id', index))}"
            regions = _regions(task, place, notes)
            if regions is None:
                notes["tasks have no annotation and are left out"] += 1
                continue
            image = _image(folder, task, place, path)
            sizes = [(region.get("original_width"), region.get("original_height")) for region in regions]
            sizes = [size for size in sizes if size != (None, None)]
            if any(size != sizes[0] for size in sizes) or not all(type(side) is int for size in sizes for side in size):
                raise ValueError(f"{place}: original_width and original_height are {shown(sizes)}, expected one size")
            width, height = folder.size(image, place, sizes[0] if sizes else None)
            found = ObjectCollector(width, height, notes)
            for region_index, region in enumerate(regions):
                _add_region(found, region, f"{place}, region {shown(region.get('id', region_index))}")
            images.append(LabeledImage(image, width, height, found.objects(), path, split_of[image]))
    if not images:
        raise ValueError(f"{folder.root}: found no annotated task in a JSON file, expected Label Studio's export")
    return LabeledSet(folder.class_order(used_classes(images)), images, notes)


def _regions(task: dict[str, Any], place: str, notes: Counter[str]) -> list[dict[str, Any]] | None:
    """The regions of a task, each with its `type` and `value`; None if nobody annotated it."""
    if "annotations" not in task and "completions" not in task:  # JSON-MIN has lists of values under the tags' names
        lists = [value for value in task.values() if isinstance(value, list)]
        values = [value for one in lists for value in one if isinstance(value, dict)]
        if not values and "annotation_id" not in task:
            return None
        kind_of = [next((kind for kind in KINDS if kind in value), None) for value in values]
        return [value | {"type": kind, "value": value} for kind, value in zip(kind_of, values, strict=True)]
    annotations = task.get("annotations", task.get("completions"))
    if not isinstance(annotations, list) or not all(isinstance(annotation, dict) for annotation in annotations):
        raise ValueError(f"{place}: annotations are {shown(annotations)}, expected a list of objects")
    annotations = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
    if not annotations:
        return None
    if len(annotations) > 1:
        notes["tasks have several annotations, of which one is read"] += 1
    chosen = next((annotation for annotation in annotations if annotation.get("ground_truth")), annotations[0])
    regions = chosen.get("result")
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        raise ValueError(f"{place}: result is {shown(regions)}, expected a list of objects")
    return regions


def _image(folder: ImageFolder, task: dict[str, Any], place: str, path: Path) -> Path:
    """The image of a task: of the texts in its data the one that names an image."""
    data = task["data"] if isinstance(task.get("data"), dict) else task
    endings = {image.suffix.lower() for image in folder.images}
    names = [_file_name(value) for value in data.values() if isinstance(value, str)]
    names = [name for name in names if Path(name).suffix.lower() in endings]
    if len(names) != 1:
        raise ValueError(f"{place}: {len(names)} of its texts name an image, expected 1: {shown(data)}")
    uploaded = Path(names[0]).name
    original = UPLOAD_MARK.sub("", uploaded)
    there = {image.name for image in folder.images}
    name = names[0] if uploaded in there else names[0].removesuffix(uploaded) + original
    return folder.find(name, place, beside=path)


def _file_name(address: str) -> str:
    """The path in an address: http, s3, /data/upload/..., or /data/local-files/?d=path."""
    try:
        parts = urlsplit(address)
    except ValueError:  # such as an IPv6 address that is none
        return ""
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def _add_region(found: ObjectCollector, region: dict[str, Any], place: str) -> None:
    kind, value = region.get("type"), region.get("value")
    if kind not in KINDS:
        found.notes[f"regions of type {shown(kind)} are left out"] += 1
        return
    if not isinstance(value, dict):
        raise ValueError(f"{place}: value is {shown(value)}, expected an object")
    if region.get("image_rotation"):
        raise ValueError(f"{place}: image_rotation is {shown(region['image_rotation'])}, expected an image as it is")
    labels = value.get(kind)
    if not isinstance(labels, list) or len(labels) != 1:
        raise ValueError(f"{place}: {kind} are {shown(labels)}, expected one label")
    name, x_scale, y_scale = labels[0], found.width / 100, found.height / 100
    if kind == "polygonlabels":
        points = value.get("points")
        if not isinstance(points, list) or not all(_are_numbers(point, 2) for point in points):
            raise ValueError(f"{place}: points are {shown(points)}, expected pairs of numbers")
        found.add_polygon(place, name, [(x * x_scale, y * y_scale) for x, y in points])
    elif kind == "brushlabels":
        found.add_mask(place, name, decode_brush(value.get("rle"), found.width, found.height, place))
    else:
        keys = ("x", "y", "width", "height") if kind == "rectanglelabels" else ("x", "y", "radiusX", "radiusY")
        values = [value.get(key) for key in keys]
        angle = value.get("rotation") or 0
        if not _are_numbers([*values, angle], 5):
            raise ValueError(f"{place}: {', '.join(keys)} and rotation are {shown([*values, angle])}, expected numbers")
        x, y, x_side, y_side = (number * scale for number, scale in zip(values, (x_scale, y_scale) * 2, strict=True))
        if kind == "ellipselabels":
            found.notes["ellipses become the boxes around them"] += 1
            found.add_box(place, name, ellipse_box(x, y, x_side, y_side, angle))
        elif angle:  # about the top left corner
            found.notes["boxes are turned, and become the upright boxes around them"] += 1
            found.add_polygon(place, name, rotated((x, y, x + x_side, y + y_side), angle, (x, y)), as_box=True)
        else:
            found.add_box(place, name, (x, y, x + x_side, y + y_side))


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(is_number, values))
