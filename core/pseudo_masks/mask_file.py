"""Masks from elsewhere: a COCO file that gives training instances a mask, by annotation id.

Whatever made it (a promptable model, a colleague, `core.annotate --boxes`, a teacher), it is part of the data set and
is read like any annotation file. It describes the boxes of the training file: it has no annotation, box or image size
that differs from there, and no mask that contradicts its box.
"""

import hashlib
import logging
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from pycocotools import mask as coco_mask

from core.config import Config
from core.datasets.annotation_checks import located
from core.datasets.annotation_file import MAX_OVERHANG, AnnotationFile, ImageRecord
from core.datasets.coco import CocoDataset
from core.datasets.crowds import is_crowd
from core.datasets.masks import Segmentation, encode, has_area
from core.pseudo_masks.given_boxes import cut_to_box
from core.pseudo_masks.grabcut import instances_without_mask

ROUNDING = 1.0  # px; what a side moves where x and width, or y and height, are rounded to pixels
MIN_INSIDE = 0.5  # share of a mask's pixels in its box; of one that has less, the box is another's

log = logging.getLogger(__name__)


def read_mask_file(config: Config) -> AnnotationFile | None:
    """The file of `supervision.pseudo_masks`, in the folder of the data; None if the config has none.

    Its classes need not be those of the data, and images of the training set may be missing.

    Raises:
        ValueError: if the file cannot be read or is no valid annotation file; names the file and what was found.
    """
    if config.supervision.mask_file is None:
        return None
    root = Path(config.data.root)
    file = AnnotationFile.read(root / config.supervision.mask_file, root / config.data.train_images, all_images=False)
    file.raise_problems()
    return file


def with_masks(digest: str, fingerprint: bytes | None) -> str:
    """The digest of the data combined with the content of the mask file (its `fingerprint`), if there is one."""
    if fingerprint is None:
        return digest
    return hashlib.sha256(f"{digest} masks {fingerprint.hex()}".encode()).hexdigest()[:16]


def add_masks(dataset: CocoDataset, training_file: AnnotationFile, mask_file: AnnotationFile) -> CocoDataset:
    """The data set with the masks of the file for its instances that have none; the one given is not changed.

    Masks are taken as they are, polygons too; those that leave their box by more than MAX_OVERHANG are cut to it (a
    warning counts them). An instance without a mask in the file stays without, as in mixed supervision: only loss terms
    that learn from boxes act on it (a warning counts these, too).

    Raises:
        ValueError: if an entry of the mask file is not one of the training file, or a mask is malformed, has no pixel
            although its box has, or lies outside of its box; if no instance gets a mask, although some have none.
            Names the file, the annotation ids, and what was found and expected.
    """
    mask_file.raise_problems(_strange_entries(mask_file, training_file))
    mask_file.raise_problems(_wrong_masks(mask_file))
    ids_and_masks = [pair for r in mask_file.images for pair in zip(r.annotation_ids, r.segmentations, strict=True)]
    of_annotation = {annotation_id: mask for annotation_id, mask in ids_and_masks if has_area(mask)}
    records, num_added, num_cut, num_without = [], 0, 0, 0
    for record in dataset.records:
        segmentations = list(record.segmentations)
        for instance in instances_without_mask(record):
            mask = of_annotation.get(record.annotation_ids[instance])
            if mask is None:
                num_without += 1
                continue
            num_added += 1
            if _leaves(mask, record.boxes[instance], record):
                num_cut += 1
                mask, _ = _cut(mask, record.boxes[instance], record)
            segmentations[instance] = mask
        records.append(replace(record, segmentations=tuple(segmentations)))
    if num_without and not num_added:
        raise ValueError(
            f"{mask_file.path}: no mask for any of the {num_without} instances that need one, expected some"
        )
    if num_cut:
        by = f"leave their box by more than {MAX_OVERHANG:g} px, and are cut to it"
        log.warning("%s: %d of %d masks %s", mask_file.path, num_cut, num_added, by)
    if num_without:
        which = "instances that need one: they are trained on their box only"
        log.warning("%s: no mask for %d of %d %s", mask_file.path, num_without, num_added + num_without, which)
    masked = copy(dataset)
    masked.records = records
    return masked


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
    return [problem for record in masks.images for problem in (*record.empty_masks(), *_outside(record))]


def _outside(record: ImageRecord) -> list[str]:
    problems = []
    for annotation_id, box, mask in zip(record.annotation_ids, record.boxes, record.segmentations, strict=True):
        if has_area(mask) and _leaves(mask, box, record):
            area = int(coco_mask.area(encode(mask, record.height, record.width)))
            kept, nothing_inside = _cut(mask, box, record)
            inside = 0 if nothing_inside else int(coco_mask.area(kept))
            if inside < MIN_INSIDE * area:
                found = f"{inside} of the {area} pixels of the mask lie in its box, expected at least half of them"
                problems.append(located(annotation_id, record.image_id, found))
    return problems


def _leaves(mask: Segmentation, box: Float[np.ndarray, " 4"], record: ImageRecord) -> bool:
    """Whether a mask has a pixel farther than MAX_OVERHANG outside of its box (xyxy, pixels of the file)."""
    x, y, width, height = coco_mask.toBbox(encode(mask, record.height, record.width))
    if not width * height:
        return False
    beyond = np.array([box[0] - x, box[1] - y, x + width - box[2], y + height - box[3]])
    return bool(beyond.max() > MAX_OVERHANG)


def _cut(mask: Segmentation, box: Float[np.ndarray, " 4"], record: ImageRecord) -> tuple[dict, str | None]:
    size = record.height, record.width
    return cut_to_box(encode(mask, *size), box, *size)
