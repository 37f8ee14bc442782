"""Checks of COCO annotation files; each problem names the image or the annotation that it is found in."""

from collections import Counter
from typing import Any

from core.datasets.image_checks import has_size, is_id, largest_id
from core.datasets.numbers import is_number
from core.datasets.segmentation_checks import segmentation_problem
from core.files.shown import shown

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
                raise ValueError(f"{source}: an entry of '{section}' has no '{missing[0]}': {shown(entry)}")
            if not is_id(entry["id"], section):
                expected = f"an integer from {-(2**63)} to {largest_id(section)}"
                raise ValueError(f"{source}: {section}: id is {shown(entry['id'])}, expected {expected}")


def repeated_ids(content: dict[str, Any]) -> list[str]:
    """Problems with ids that several entries of a section share."""
    problems = []
    for section in REQUIRED_KEYS:
        counts = Counter(entry["id"] for entry in content[section])
        problems += [f"{section}: id {i} appears {n} times, expected once" for i, n in counts.items() if n > 1]
    return problems


def annotation_problem(
    annotation: dict[str, Any], images: dict[int, dict[str, Any]], label_of: dict[int, int]
) -> str | None:
    """What is wrong with an annotation's image, category, crowd marks or box; the others are keyed by id."""
    for key in ("image_id", "category_id"):
        if type(annotation.get(key)) not in (int, float):  # 7.0 is looked up as 7
            return _in_annotation(annotation, f"{key} is {shown(annotation.get(key))}, expected an integer")
    image = images.get(annotation["image_id"])
    if image is None:
        return _in_annotation(annotation, "no such image")
    if annotation["category_id"] not in label_of:
        known = sorted(label_of)
        expected = ", ".join(map(str, known[:NUM_SHOWN])) + (", ..." if len(known) > NUM_SHOWN else "")
        found = f"category_id is {shown(annotation['category_id'])}"
        return _in_annotation(annotation, f"{found}, expected one of {expected}")
    for key in ("iscrowd", "ignore"):
        if annotation.get(key, 0) not in (0, 1):
            return _in_annotation(annotation, f"{key} is {shown(annotation[key])}, expected 0 or 1, or no such key")
    problem = _box_problem(annotation.get("bbox"), image)
    return _in_annotation(annotation, problem) if problem else None


def _box_problem(box: Any, image: dict[str, Any]) -> str | None:
    if not isinstance(box, list) or len(box) != 4 or not all(is_number(value) for value in box):
        return f"bbox is {shown(box)}, expected four finite numbers x, y, width, height"
    x, y, width, height = box
    if width < 0 or height < 0:
        return f"bbox is {box}, expected a width and a height above 0"
    if not has_size(image):
        return None
    right, bottom = image["width"], image["height"]
    size = f"the image of {right} x {bottom} pixels"
    if min(width, height) > 0 and (x >= right or y >= bottom or x + width <= 0 or y + height <= 0):
        return f"bbox is {box}, outside {size}"
    if x < -right or y < -bottom or x + width > 2 * right or y + height > 2 * bottom:  # pycocotools draws it as polygon
        return f"bbox is {box}, expected at most {right} x {bottom} pixels beyond {size}"
    return None


def normalized_boxes(annotations: list[dict[str, Any]]) -> list[str]:
    """One problem if there are boxes, all valid, and none leaves the first pixel: coordinates of 0..1, not pixels."""
    if not annotations or any(max(x + w, y + h) > 1 for x, y, w, h in (entry["bbox"] for entry in annotations)):
        return []
    found = f"all {len(annotations)} boxes lie in 0..1, such as bbox {annotations[0]['bbox']}"
    return [_in_annotation(annotations[0], f"{found}: normalized? expected pixels x, y, width, height")]


def evaluation_problems(content: dict[str, Any]) -> list[str]:
    """Areas and segmentations, including those of crowds, that pycocotools cannot read; the rest must be valid."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    problems = []
    for annotation in content["annotations"]:
        segmentation, area = annotation.get("segmentation"), annotation.get("area", 0)
        problem = None
        if not is_area(area):
            problem = f"area is {shown(area)}, expected a number of at least 0"
        elif segmentation is not None:
            problem = segmentation_problem(segmentation, *sizes[annotation["image_id"]])
        if problem:
            problems.append(_in_annotation(annotation, problem))
    return problems


def is_area(value: Any) -> bool:
    return is_number(value) and value >= 0


def _in_annotation(annotation: dict[str, Any], problem: str) -> str:
    return located(annotation["id"], annotation.get("image_id"), problem)


def located(annotation_id: int, image_id: Any, problem: str) -> str:
    """The problem, prefixed with the annotation and the image that it is found in."""
    return f"annotation {annotation_id} (image {shown(image_id)}): {problem}"
