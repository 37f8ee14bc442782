"""A file of masks made elsewhere, by annotation id, held against the training file whose boxes they are for.

Whatever made it (a promptable model, a colleague, `core.annotate --boxes`, a teacher), it is part of the data set and
is read like any annotation file. It has no annotation, box or image size that differs from the training file, and no
mask that contradicts its box.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pycocotools import mask as coco_mask

from core.config import SupervisionConfig
from core.datasets.annotation_checks import located
from core.datasets.annotation_file import MAX_OVERHANG, AnnotationFile, ImageRecord
from core.datasets.crowds import is_crowd
from core.datasets.filled_box import encode_mask, filled_box
from core.datasets.masks import Segmentation, encode, has_area

ROUNDING = 1.0  # px; what a side moves where x and width, or y and height, are rounded to pixels
MIN_INSIDE = 0.5  # share of a mask's pixels in its box; of one that has less, the box is another's


def read_foreign_masks(root: Path, name: str, image_folder: Path) -> AnnotationFile:
    """The file `name` of masks in the data folder `root`; images of the training set may be missing in it.

    Raises:
        ValueError: if the file cannot be read or lacks a section; names the file and what was found.
    """
    return AnnotationFile.read(root / name, image_folder, all_images=False)


def contradictions(masks: AnnotationFile, training: AnnotationFile) -> list[str]:
    """Why a file of masks without problems of its own is refused for a training file; names annotations or images.

    An image or annotation that is not as in the training file. If there is none: a mask that is malformed. If there is
    none of these either: a mask without a pixel although its box has some, or mostly outside of its box.
    """
    return _strange_entries(masks, training) or _wrong_masks(masks)


def leaves_box(mask: Segmentation, box: Float[np.ndarray, " 4"], record: ImageRecord) -> bool:
    """Whether a mask has a pixel farther than MAX_OVERHANG outside of its box (xyxy, pixels of the file)."""
    x, y, width, height = coco_mask.toBbox(encode(mask, record.height, record.width))
    if not width * height:
        return False
    beyond = np.array([box[0] - x, box[1] - y, x + width - box[2], y + height - box[3]])
    return bool(beyond.max() > MAX_OVERHANG)


def usable_masks(masks: AnnotationFile) -> dict[int, Segmentation]:
    """The masks of a file by annotation id, without those that have no area."""
    pairs = [pair for r in masks.images for pair in zip(r.annotation_ids, r.segmentations, strict=True)]
    return {annotation_id: mask for annotation_id, mask in pairs if has_area(mask)}


def check_foreign_masks(
    root: Path, training: AnnotationFile, supervision: SupervisionConfig
) -> tuple[list[str], list[str]]:
    """What is wrong with the file of `supervision.pseudo_masks`, and what should be known of it; both empty without.

    What is wrong is what a training on `training`, the training file, would refuse: a missing or malformed file,
    contradictions to the training file, and no mask at all for the boxes that need one.
    """
    if supervision.mask_file is None:
        return [], []
    try:
        masks = read_foreign_masks(root, supervision.mask_file, training.image_folder)
    except ValueError as error:
        return [f"supervision.pseudo_masks: {error}"], []
    if problems := masks.problems or contradictions(masks, training):
        return [f"{masks.path}: {problem}" for problem in problems], []
    instances = [(r, i) for r in training.images for i in range(len(r.labels))]
    every_mask_is_used = supervision.mask_ratio == 1
    needing = [(r, i) for r, i in instances if not (every_mask_is_used and has_area(r.segmentations[i]))]
    usable = usable_masks(masks)
    given = [(r, i) for r, i in needing if r.annotation_ids[i] in usable]
    if needing and not given:
        return [f"{masks.path}: no mask for any of the {len(needing)} boxes that need one, expected some"], []
    cut = sum(leaves_box(usable[r.annotation_ids[i]], r.boxes[i], r) for r, i in given)
    found = [f"{masks.path}: masks for {len(given)} of {len(needing)} boxes"]
    if len(given) < len(needing):
        found[0] += "; the others are trained on as boxes"
    if cut:
        found.append(f"{masks.path}: {cut} masks leave their box by more than {MAX_OVERHANG:g} px, and are cut to it")
    return [], found


def _strange_entries(masks: AnnotationFile, training: AnnotationFile) -> list[str]:
    """Images and annotations that are not those of the training file; crowds, which teach no mask, are not compared."""
    theirs = {record.image_id: record for record in training.images}
    problems = []
    for record in masks.images:
        other = theirs.get(record.image_id)
        if other is not None and (record.width, record.height) != (other.width, other.height):
            found = f"image {record.image_id} ({record.file_name}): {record.width} x {record.height} pixels"
            problems.append(f"{found}, expected {other.width} x {other.height} as in {training.path}")
    annotations = {annotation["id"]: annotation for annotation in training.content["annotations"]}
    for annotation in masks.content["annotations"]:
        if problem := _strange(annotation, annotations.get(annotation["id"]), training.path):
            problems.append(located(annotation["id"], annotation["image_id"], problem))
    return problems


def _strange(annotation: dict[str, Any], expected: dict[str, Any] | None, path: Path) -> str | None:
    """How an annotation differs from that of the training file `path` with its id; None: not at all."""
    if expected is None:
        return f"no annotation has this id in {path}, expected one of its ids"
    if annotation["image_id"] != expected["image_id"]:
        return f"expected image {expected['image_id']}, as in {path}"
    if is_crowd(expected):
        return None
    if is_crowd(annotation):
        return f"iscrowd or ignore is 1, expected 0 as in {path}: it is the mask of an object"
    if np.abs(_corners(annotation) - _corners(expected)).max() > ROUNDING:
        return f"bbox is {annotation['bbox']}, expected {expected['bbox']} as in {path}"
    return None


def _corners(annotation: dict[str, Any]) -> Float[np.ndarray, " 4"]:
    x, y, width, height = annotation["bbox"]
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def _wrong_masks(masks: AnnotationFile) -> list[str]:
    """Masks that are malformed; if there is none, those without a pixel although their box has some, or outside it."""
    if malformed := [problem for record in masks.images for problem in record.segmentation_problems()]:
        return malformed
    return [problem for record in masks.images for problem in (*record.empty_masks(), *mostly_outside(record))]


def mostly_outside(record: ImageRecord) -> list[str]:
    """Masks of an image that lie less than MIN_INSIDE in their box, each in a sentence."""
    size = record.height, record.width
    problems = []
    for annotation_id, box, mask in zip(record.annotation_ids, record.boxes, record.segmentations, strict=True):
        if has_area(mask) and leaves_box(mask, box, record):
            encoding, filled = encode(mask, *size), encode_mask(filled_box(box, *size))
            area = int(coco_mask.area(encoding))
            inside = int(coco_mask.area(coco_mask.merge([encoding, filled], intersect=True)))
            if inside < MIN_INSIDE * area:
                found = f"{inside} of the {area} pixels of the mask lie in its box, expected at least half of them"
                problems.append(located(annotation_id, record.image_id, found))
    return problems
