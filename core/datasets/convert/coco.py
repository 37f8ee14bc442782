"""COCO files, such as those that CVAT, Label Studio, Roboflow and FiftyOne export: one for each split, or one for all.

CVAT marks every mask as a crowd, since it exports masks as run lengths, which COCO itself uses for crowds. Such marks
are dropped in files whose annotations have CVAT's attributes, unless an attribute says crowd, too.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from core.datasets.annotation_checks import annotation_problem, check_sections, repeated_ids
from core.datasets.convert.image_folder import ImageFolder
from core.datasets.convert.labeled import LabeledImage, LabeledSet, ObjectCollector, is_crowd_marked
from core.datasets.convert.splits import split_in, splits_by_folder
from core.datasets.crowds import is_crowd
from core.datasets.image_checks import class_problems, has_size
from core.datasets.masks import encode, has_area, parts_with_area
from core.datasets.segmentation_checks import segmentation_problem
from core.files.json_file import read_json
from core.files.shown import shown

SECTIONS = ("images", "annotations", "categories")
CVAT_ATTRIBUTE = "occluded"


def recognizes(content: Any) -> bool:
    return isinstance(content, dict) and all(section in content for section in SECTIONS)


def read(folder: ImageFolder) -> LabeledSet:
    """Read all JSON files; the split of one is in its name or its folder, and the classes of all must be the same.

    Raises:
        ValueError: for anything that is not as expected; names file and annotation.
    """
    notes: Counter[str] = Counter()
    images: list[LabeledImage] = []
    classes: list[str] = []
    by_folder = splits_by_folder(folder.images)
    for path in folder.with_ending(".json"):
        content, _ = read_json(folder.full(path))
        check_sections(content, folder.full(path), kind="instances")
        if problems := repeated_ids(content) + class_problems(content["categories"]):
            raise ValueError(f"{folder.full(path)}: {problems[0]}")
        categories = sorted(content["categories"], key=lambda category: category["id"])
        names = [category["name"] for category in categories]
        if classes not in ([], names):
            found = f"categories are {shown(names)}"
            raise ValueError(f"{folder.full(path)}: {found}, expected those of the other file: {shown(classes)}")
        classes = names
        split = split_in(path.name) or next(filter(None, map(split_in, path.parent.parts)), None)
        name_of = {category["id"]: category["name"] for category in categories}
        images += _images(folder, path, content, name_of, notes, split, by_folder)
    if not images:
        raise ValueError(f"{folder.root}: found no image in a JSON file, expected a COCO file")
    return LabeledSet(classes, images, notes)


def _images(
    folder: ImageFolder,
    path: Path,
    content: dict[str, Any],
    name_of: dict[int, str],
    notes: Counter[str],
    split: str | None,
    by_folder: dict[Path, str | None],
) -> list[LabeledImage]:
    """The images of one file with their annotations."""
    entries = {entry["id"]: entry for entry in content["images"]}
    known, of_image = dict.fromkeys(name_of, 0), {image_id: [] for image_id in entries}
    for annotation in content["annotations"]:
        if problem := annotation_problem(annotation, entries, known):
            raise ValueError(f"{folder.full(path)}: {problem}")
        of_image[annotation["image_id"]].append(annotation)
    images = []
    for image_id, entry in entries.items():
        place = f"{folder.full(path)}: image {image_id}"
        image = folder.find(str(entry["file_name"]), place, beside=path)
        width, height = folder.size(image, place, (entry["width"], entry["height"]) if has_size(entry) else None)
        found = ObjectCollector(width, height, notes)
        for annotation in of_image[image_id]:
            place = f"{folder.full(path)}: annotation {annotation['id']} (image {image_id})"
            _add_annotation(found, annotation, name_of[annotation["category_id"]], place)
        images.append(LabeledImage(image, width, height, found.objects(), path, split or by_folder[image]))
    return images


def _add_annotation(found: ObjectCollector, annotation: dict[str, Any], name: str, place: str) -> None:
    x, y, width, height = annotation["bbox"]
    box, segmentation = (x, y, x + width, y + height), annotation.get("segmentation")
    attributes = annotation.get("attributes") if isinstance(annotation.get("attributes"), dict) else {}
    marked = is_crowd_marked(attributes) or bool(annotation.get("ignore"))
    crowd = marked or is_crowd(annotation)
    if crowd and isinstance(segmentation, dict) and CVAT_ATTRIBUTE in attributes and not marked:
        crowd = False
        found.notes["masks that CVAT marks as crowds are single objects"] += 1
    if segmentation is not None and (problem := segmentation_problem(segmentation, found.height, found.width)):
        raise ValueError(f"{place}: {problem}")
    if not has_area(segmentation):
        found.add_box(place, name, box, crowd=crowd)
    elif isinstance(segmentation, dict):
        found.add_object(place, name, box, encode(segmentation, found.height, found.width), crowd=crowd)
    else:
        found.add_object(place, name, box, parts_with_area(segmentation), crowd=crowd)
