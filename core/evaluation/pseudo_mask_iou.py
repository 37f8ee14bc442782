"""How good the pseudo masks are that a training learned from: their IoU with the true masks that stayed hidden.

A measurement alone: it reads the true masks of hidden instances, which nothing else does, once the training has ended,
and nothing goes back into a training, a choice of a checkpoint or a pseudo mask. Where the annotation file has no true
masks, there is nothing to measure.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset
from core.datasets.masks import encode, has_area
from core.datasets.segmentation_checks import segmentation_problem
from core.files.json_file import read_json
from core.pseudo_masks.grabcut import instances_without_mask
from core.record import PSEUDO_MASK_QUALITY


def read_masks(path: Path) -> dict[int, Any]:
    """The segmentations in a file of `write_pseudo_masks`, by annotation id.

    Raises:
        ValueError: if the file cannot be read; names it.
    """
    content, _ = read_json(path)
    return {annotation["id"]: annotation["segmentation"] for annotation in content["annotations"]}


def masks_of(dataset: CocoDataset) -> dict[int, Any]:
    """The segmentations of a data set by annotation id; None for an instance without one."""
    records = dataset.records
    return {i: mask for r in records for i, mask in zip(r.annotation_ids, r.segmentations, strict=True)}


def pseudo_mask_quality(masks: Mapping[int, Any], training_set: CocoDataset, file: AnnotationFile) -> dict[str, float]:
    """PSEUDO_MASK_QUALITY, the mean and median IoU in 0..1 over the instances that got a pseudo mask.

    `masks` are those that were trained on, by annotation id, `training_set` is the data set without pseudo masks, which
    says who had none, and `file` its annotation file, with the true masks. An instance whose true mask is missing or
    malformed is left out: the training did not need it. NaN if none is left.
    """
    true: dict[int, Any] = {entry["id"]: entry.get("segmentation") for entry in file.content["annotations"]}
    ious = []
    for record in training_set.records:
        size = record.height, record.width
        for annotation_id in (record.annotation_ids[instance] for instance in instances_without_mask(record)):
            pseudo, hidden = masks.get(annotation_id), true.get(annotation_id)
            if has_area(pseudo) and has_area(hidden) and not segmentation_problem(hidden, *size):
                ious.append(coco_mask.iou([encode(pseudo, *size)], [encode(hidden, *size)], [0])[0, 0])
    values = (float(np.mean(ious)), float(np.median(ious))) if ious else (math.nan, math.nan)
    return dict(zip(PSEUDO_MASK_QUALITY, values, strict=True))
