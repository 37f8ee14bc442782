"""Checks of COCO annotation files; each problem names the image or the annotation that it is found in."""

import math
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from core.datasets.masks import segmentation_problem

REQUIRED_KEYS = {"categories": ("id", "name"), "images": ("id", "file_name"), "annotations": ("id",)}  # by section
NUM_SHOWN = 8  # category ids in a message


def check_sections(content: Any, source: object, *, kind: str) -> None:
    """Reject content that is not structured as a COCO file; `source` and `kind` (instances, image_info) are for errors.

    Raises:
        ValueError: if a section is missing, or an entry has no integer id or lacks another required key.
    """
    for section, keys in REQUIRED_KEYS.items():
        entries = content.get(section) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"{source}: expected a list of objects under '{section}', as in COCO's {kind} files")
        for entry in entries:
            if missing := [key for key in keys if key not in entry]:
                raise ValueError(f"{source}: an entry of '{section}' has no '{missing[0]}': {entry!s:.80}")
            if not isinstance(entry["id"], int):
                raise ValueError(f"{source}: {section}: id is {entry['id']!r}, expected an integer")


def repeated_ids(content: dict[str, Any]) -> list[str]:
    """Problems with ids that several entries of a section share."""
    problems = []
    for section in REQUIRED_KEYS:
        counts = Counter(entry["id"] for entry in content[section])
        problems += [f"{section}: id {i} appears {n} times, expected once" for i, n in counts.items() if n > 1]
    return problems


def image_problem(image: dict[str, Any]) -> str | None:
    """What is wrong with the entry of an image; does not check whether its file exists."""
    if not isinstance(image["file_name"], str):
        return f"image {image['id']}: file_name is {image['file_name']!r:.60}, expected a string"
    name = PurePosixPath(image["file_name"])
    if name.is_absolute() or ".." in name.parts:
        return f"image {image['id']}: file_name is {image['file_name']!r}, expected a path inside the image folder"
    if not has_size(image):
        found = f"{image.get('width')} x {image.get('height')}"
        return f"image {image['id']} ({name}): width and height are {found}, expected the file's size in pixels"
    return None


def has_size(image: dict[str, Any]) -> bool:
    return all(isinstance(image.get(side), int) and image[side] > 0 for side in ("width", "height"))


def annotation_problem(
    annotation: dict[str, Any], images: dict[int, dict[str, Any]], label_of: dict[int, int]
) -> str | None:
    """What is wrong with an annotation's image, category or box; `images` and `label_of` are keyed by id."""
    for key in ("image_id", "category_id"):
        if not isinstance(annotation.get(key), int | float):  # 7.0 is looked up as 7
            return _in_annotation(annotation, f"{key} is {annotation.get(key)!r:.60}, expected an integer")
    image = images.get(annotation["image_id"])
    if image is None:
        return _in_annotation(annotation, "no such image")
    if annotation["category_id"] not in label_of:
        known = sorted(label_of)
        expected = ", ".join(map(str, known[:NUM_SHOWN])) + (", ..." if len(known) > NUM_SHOWN else "")
        return _in_annotation(annotation, f"category_id is {annotation['category_id']}, expected one of {expected}")
    problem = _box_problem(annotation.get("bbox"), image)
    return _in_annotation(annotation, problem) if problem else None


def _box_problem(box: Any, image: dict[str, Any]) -> str | None:
    is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box)
    if not is_box or not all(math.isfinite(value) for value in box):
        return f"bbox is {box}, expected four finite numbers x, y, width, height"
    x, y, width, height = box
    if width < 0 or height < 0:
        return f"bbox is {box}, expected a width and a height above 0"
    outside = has_size(image) and (x >= image["width"] or y >= image["height"] or x + width <= 0 or y + height <= 0)
    if outside and min(width, height) > 0:
        return f"bbox is {box}, outside the image of {image['width']} x {image['height']} pixels"
    return None


def evaluation_problems(content: dict[str, Any]) -> list[str]:
    """Areas and segmentations, including those of crowds, that pycocotools cannot read; the rest must be valid."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    problems = []
    for annotation in content["annotations"]:
        segmentation, area = annotation.get("segmentation"), annotation.get("area", 0)
        problem = None
        if not isinstance(area, int | float) or not area >= 0:  # written so that NaN is refused
            problem = f"area is {area!r:.60}, expected a number of at least 0"
        elif segmentation is not None:
            problem = segmentation_problem(segmentation, *sizes[annotation["image_id"]])
        if problem:
            problems.append(_in_annotation(annotation, problem))
    return problems


def _in_annotation(annotation: dict[str, Any], problem: str) -> str:
    return located(annotation["id"], annotation.get("image_id"), problem)


def located(annotation_id: int, image_id: Any, problem: str) -> str:
    """The problem, prefixed with the annotation and the image that it is found in."""
    return f"annotation {annotation_id} (image {image_id}): {problem}"
