"""Masks from elsewhere in a training: a COCO file that gives instances a mask, by annotation id.

What is refused in such a file is in `core.datasets.foreign_masks`.
"""

import hashlib
import logging
from copy import copy
from dataclasses import replace
from pathlib import Path

from core.config import Config
from core.datasets.annotation_file import MAX_OVERHANG, AnnotationFile
from core.datasets.coco import CocoDataset
from core.datasets.foreign_masks import contradictions, leaves_box, read_foreign_masks, usable_masks
from core.datasets.masks import encode
from core.pseudo_masks.given_boxes import cut_to_box
from core.pseudo_masks.grabcut import instances_without_mask

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
    file = read_foreign_masks(root, config.supervision.mask_file, root / config.data.train_images)
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
    mask_file.raise_problems(contradictions(mask_file, training_file))
    of_annotation = usable_masks(mask_file)
    records, num_added, num_cut, num_without = [], 0, 0, 0
    for record in dataset.records:
        segmentations = list(record.segmentations)
        for instance in instances_without_mask(record):
            mask, box = of_annotation.get(record.annotation_ids[instance]), record.boxes[instance]
            if mask is None:
                num_without += 1
                continue
            num_added += 1
            if leaves_box(mask, box, record):
                num_cut += 1
                mask, _ = cut_to_box(encode(mask, record.height, record.width), box, record.height, record.width)
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
