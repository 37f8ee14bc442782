"""A COCO annotation file, read and checked; all that is wrong with it is told at once, each with its annotation id."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from core.datasets.masks import segmentation_problem

MAX_PROBLEMS_SHOWN = 5
MAX_OVERHANG = 2.0  # px; rounding explains less than that


@dataclass(frozen=True)
class ImageRecord:
    """One image and its G instances; crowds and boxes without area are counted but not among them."""

    image_id: int
    file_name: str  # relative to the image folder
    height: int
    width: int
    boxes: Float[np.ndarray, "G 4"]  # xyxy, clipped to the image
    labels: Int64[np.ndarray, " G"]
    annotation_ids: tuple[int, ...]
    segmentations: tuple[Any, ...]  # as in the file, unread; None where there is none
    num_crowds: int
    num_flat_boxes: int  # width or height 0: COCO has a few
    num_clipped_boxes: int  # reach past the image by more than MAX_OVERHANG


@dataclass(frozen=True)
class AnnotationFile:
    path: Path
    categories: list[str]  # names by label; labels follow the order of the category ids
    category_ids: list[int]  # by label
    images: list[ImageRecord]  # by image id
    problems: list[str]

    def raise_problems(self) -> None:
        """Refuse a file with problems.

        Raises:
            ValueError: names the file and the first few problems.
        """
        if self.problems:
            rest = len(self.problems) - MAX_PROBLEMS_SHOWN
            shown = self.problems[:MAX_PROBLEMS_SHOWN] + ([f"... and {rest} more"] if rest > 0 else [])
            raise ValueError("\n  ".join([f"{self.path}: {len(self.problems)} problem(s)", *shown]))


def read_annotation_file(path: Path, image_folder: Path) -> AnnotationFile:
    """Read a file of boxes with or without masks, and look for its images in `image_folder`.

    Segmentations are handed on unread: only those who use a mask look at it.

    Raises:
        ValueError: if the file cannot be read at all or lacks a section. Whatever else is wrong stands in `problems`.
    """
    content = _read_json(path)
    if not image_folder.is_dir():
        raise ValueError(f"{image_folder}: no such folder, expected the images of {path}")
    problems: list[str] = []
    for section in ("categories", "images", "annotations"):
        counts = Counter(entry["id"] for entry in content[section])
        problems += [f"{section}: id {i} stands {n} times, expected once" for i, n in counts.items() if n > 1]

    categories = sorted(content["categories"], key=lambda category: category["id"])
    label_of = {category["id"]: label for label, category in enumerate(categories)}
    images = {image["id"]: image for image in content["images"]}
    problems += [problem for image in images.values() if (problem := _image_problem(image, image_folder))]

    instances: dict[int, list[dict]] = {image_id: [] for image_id in images}
    crowds, flat = Counter(), Counter()
    for annotation in content["annotations"]:
        image_id = annotation.get("image_id")
        problem = _annotation_problem(annotation, images, label_of)
        if problem:
            problems.append(f"annotation {annotation['id']} (image {image_id}): {problem}")
        elif annotation.get("iscrowd"):
            crowds[image_id] += 1
        elif min(annotation["bbox"][2:]) == 0:
            flat[image_id] += 1
        else:
            instances[image_id].append(annotation)

    records = [
        _record(images[i], instances[i], label_of, crowds[i], flat[i])
        for i in sorted(images)
        if isinstance(images[i]["file_name"], str) and _has_size(images[i])
    ]
    return AnnotationFile(path, [c["name"] for c in categories], [c["id"] for c in categories], records, problems)


def read_truth(path: Path) -> dict[str, Any]:
    """Content of an annotation file whose areas and segmentations, crowds' included, pycocotools can read.

    The file's other parts are those of `read_annotation_file`, which must have passed.

    Raises:
        ValueError: for malformed ones; names the file, the annotation id, what was found.
    """
    content = json.loads(path.read_text())
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
            problems.append(f"annotation {annotation['id']} (image {annotation['image_id']}): {problem}")
    if problems:
        rest = len(problems) - MAX_PROBLEMS_SHOWN
        shown = problems[:MAX_PROBLEMS_SHOWN] + ([f"... and {rest} more"] if rest > 0 else [])
        raise ValueError("\n  ".join([f"{path}: {len(problems)} problem(s)", *shown]))
    return content


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    for section, keys in {"categories": ("id", "name"), "images": ("id", "file_name"), "annotations": ("id",)}.items():
        entries = content.get(section) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"{path}: expected a list of objects under '{section}', as in COCO's instances files")
        for entry in entries:
            if missing := [key for key in keys if key not in entry]:
                raise ValueError(f"{path}: an entry of '{section}' has no '{missing[0]}': {entry!s:.80}")
            if not isinstance(entry["id"], int):
                raise ValueError(f"{path}: {section}: id is {entry['id']!r}, expected an integer")
    return content


def _has_size(image: dict) -> bool:
    return all(isinstance(image.get(side), int) and image[side] > 0 for side in ("width", "height"))


def _image_problem(image: dict, folder: Path) -> str | None:
    if not isinstance(image["file_name"], str):
        return f"image {image['id']}: file_name is {image['file_name']!r:.60}, expected a string"
    name = PurePosixPath(image["file_name"])
    if name.is_absolute() or ".." in name.parts:
        return f"image {image['id']}: file_name is {image['file_name']!r}, expected a path inside the image folder"
    if not _has_size(image):
        found = f"{image.get('width')} x {image.get('height')}"
        return f"image {image['id']} ({name}): width and height are {found}, expected the file's size in pixels"
    if not (folder / name).is_file():
        return f"image {image['id']}: no file {folder / name}"
    return None


def _annotation_problem(annotation: dict, images: dict[int, dict], label_of: dict[int, int]) -> str | None:
    for key in ("image_id", "category_id"):
        if not isinstance(annotation.get(key), int | float):  # 7.0 is found as 7
            return f"{key} is {annotation.get(key)!r:.60}, expected an integer"
    image = images.get(annotation["image_id"])
    if image is None:
        return "no such image"
    if annotation["category_id"] not in label_of:
        return f"category_id is {annotation['category_id']}, expected one of {_shortened(sorted(label_of))}"
    box = annotation.get("bbox")
    is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(value, int | float) for value in box)
    if not is_box or not all(math.isfinite(value) for value in box):
        return f"bbox is {box}, expected four finite numbers x, y, width, height"
    x, y, width, height = box
    if width < 0 or height < 0:
        return f"bbox is {box}, expected a width and a height above 0"
    outside = _has_size(image) and (x >= image["width"] or y >= image["height"] or x + width <= 0 or y + height <= 0)
    if outside and min(width, height) > 0:
        return f"bbox is {box}, outside the image of {image['width']} x {image['height']} pixels"
    return None


def _shortened(values: list) -> str:
    return ", ".join(map(str, values[:8])) + (", ..." if len(values) > 8 else "")


def _record(image: dict, annotations: list[dict], label_of: dict[int, int], crowds: int, flat: int) -> ImageRecord:
    boxes = np.array([annotation["bbox"] for annotation in annotations], dtype=np.float64).reshape(-1, 4)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    limits = np.array([image["width"], image["height"]] * 2)
    clipped = np.clip(corners, 0, limits)
    return ImageRecord(
        image_id=image["id"],
        file_name=image["file_name"],
        height=image["height"],
        width=image["width"],
        boxes=clipped,
        labels=np.array([label_of[annotation["category_id"]] for annotation in annotations], dtype=np.int64),
        annotation_ids=tuple(annotation["id"] for annotation in annotations),
        segmentations=tuple(annotation.get("segmentation") for annotation in annotations),
        num_crowds=crowds,
        num_flat_boxes=flat,
        num_clipped_boxes=int((np.abs(corners - clipped) > MAX_OVERHANG).any(1).sum()),
    )
