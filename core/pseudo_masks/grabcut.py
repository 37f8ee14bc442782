"""Pseudo masks for training instances without a mask: GrabCut in their boxes, and the file that stores pseudo masks.

The file is an ordinary COCO file: images, categories and annotations of the training set, with the true segmentation
if it is used, otherwise a run-length encoded pseudo mask. It is written once and read when a training resumes.
"""

import json
import logging
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from pycocotools import mask as coco_mask
from tqdm import tqdm

from core.config.identity import differences
from core.datasets.annotation_checks import located
from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.coco import CocoDataset
from core.datasets.filled_box import box_pixels, encode_mask, filled_box
from core.datasets.masks import has_area
from core.datasets.photo import open_rgb
from core.files.atomic import replaced

PSEUDO_MASKS = "pseudo_masks.json"
ITERATIONS = 5  # each fits both color models and cuts
COLOR_CLUSTERS = 5  # Gaussians of a color model; each needs a pixel to start from
SMALLEST_SIDE = 4  # px; a narrower box has too few pixels for color statistics

log = logging.getLogger(__name__)


def instances_without_mask(record: ImageRecord) -> list[int]:
    """Indices of the instances of an image that get a pseudo mask."""
    return [index for index, segmentation in enumerate(record.segmentations) if not has_area(segmentation)]


def grabcut_mask(
    image: UInt8[np.ndarray, "H W 3"], box: Float[np.ndarray, " 4"], *, seed: int
) -> Bool[np.ndarray, "H W"] | None:
    """Segment the object in a box by color; None if that fails.

    GrabCut (Rother et al., SIGGRAPH 2004; OpenCV's, 5 iterations): everything outside the rounded box (xyxy, pixels of
    the image) is background; inside, two mixtures of Gaussians over color and a graph cut separate foreground and
    background. `seed` (0..2**31-1) determines the initial mixtures.

    It fails for boxes with a side under 4 pixels, for boxes that leave no background to learn from (all but a few
    pixels of the image), and if no foreground remains.
    """
    height, width, _ = image.shape
    rows, columns = box_pixels(box, height, width)
    box_height, box_width = rows.stop - rows.start, columns.stop - columns.start
    if min(box_height, box_width) < SMALLEST_SIDE or height * width - box_height * box_width < COLOR_CLUSTERS:
        return None
    cv2.setNumThreads(1)  # for equal results on all machines
    cv2.setRNGSeed(seed)
    labels = np.zeros((height, width), dtype=np.uint8)
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))  # OpenCV's buffers for the mixtures
    rectangle = (columns.start, rows.start, box_width, box_height)
    cv2.grabCut(image, labels, rectangle, background, foreground, ITERATIONS, cv2.GC_INIT_WITH_RECT)
    mask = (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)
    return mask if mask.any() else None


def grabcut_masks(dataset: CocoDataset, *, progress: bool = False) -> dict[int, dict]:
    """GrabCut masks for the instances without a mask, by annotation id, as COCO run-length encodings of the file.

    If GrabCut fails, the mask is the filled box; a warning counts these. Each mask depends only on the image, the box
    and the annotation id.
    """
    masks: dict[int, dict] = {}
    num_filled = 0
    for record in tqdm(dataset.records, desc="grabcut", unit="image", disable=not progress):
        if not (without := instances_without_mask(record)):
            continue
        image = np.asarray(open_rgb(dataset.image_folder / record.file_name, record.width, record.height))
        for instance in without:
            annotation_id, box = record.annotation_ids[instance], record.boxes[instance]
            mask = grabcut_mask(image, box, seed=annotation_id % 2**31)
            if mask is None:
                num_filled += 1
                mask = filled_box(box, record.height, record.width)
            masks[annotation_id] = encode_mask(mask)
    if num_filled:
        log.warning("GrabCut failed on %d of %d instances: their mask is the filled box", num_filled, len(masks))
    return masks


def write_pseudo_masks(
    path: Path,
    file: AnnotationFile,
    dataset: CocoDataset,
    masks: dict[int, dict],
    *,
    seconds: float,
    identity: dict[str, Any],
) -> None:
    """Write the images and instances of the data set as a COCO file with a mask for each: its own, or that in `masks`.

    `file` is the annotation file of the data set. Crowds, boxes without area and images that the data set leaves out
    are not written. `info` stores the `seconds` spent on the masks and their `identity` (`pseudo_mask_identity`).
    """
    image_ids = set(dataset.image_ids)
    used = {i: s for r in dataset.records for i, s in zip(r.annotation_ids, r.segmentations, strict=True)}
    annotations = []
    for annotation in file.content["annotations"]:
        if annotation["id"] in used:
            changes = {"segmentation": used[annotation["id"]]}
            if (mask := masks.get(annotation["id"])) is not None:
                encoding = {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
                changes = {"segmentation": encoding, "area": int(coco_mask.area(mask))}
            annotations.append(annotation | changes)
    content = file.content | {
        "info": {"description": f"{file.path.name} with pseudo masks", "seconds": seconds, "identity": identity},
        "images": [image for image in file.content["images"] if image["id"] in image_ids],
        "annotations": annotations,
    }
    with replaced(path) as partial:
        partial.write_text(json.dumps(content, separators=(",", ":")))


def with_pseudo_masks(dataset: CocoDataset, path: Path, *, identity: dict[str, Any]) -> tuple[CocoDataset, float]:
    """Add the masks of a file of `write_pseudo_masks` to the instances without one; returns the seconds spent as well.

    Raises:
        ValueError: if the file cannot be read, its masks have another `identity` (names what differs), or the mask of
            an instance is missing or malformed; names the file and what was found.
    """
    try:
        file = AnnotationFile.read(path, dataset.image_folder)
        file.raise_problems()
        info = file.content.get("info")
        if not isinstance(info, dict) or not isinstance(info.get("seconds"), int | float):
            raise ValueError(f"{path}: info is {info!s:.60}, expected the seconds spent on the masks")
        found = info.get("identity")
        if not isinstance(found, dict):
            raise ValueError(f"{path}: info.identity is {found!s:.60}, expected what identifies the masks")
        if different := differences(found, identity):
            raise ValueError(f"{path}: made for another training: {', '.join(different)}")
        masks = {i: s for r in file.images for i, s in zip(r.annotation_ids, r.segmentations, strict=True)}
        records = [_masked(record, masks) for record in dataset.records]
        file.raise_problems([problem for record in records for problem in _mask_problems(record)])
    except ValueError as error:
        raise ValueError(f"{error}; delete {path.name} to make the pseudo masks again") from error
    masked = copy(dataset)
    masked.records = records
    return masked, float(info["seconds"])


def _masked(record: ImageRecord, masks: dict[int, Any]) -> ImageRecord:
    """Add masks, by annotation id, to the instances of the record without one."""
    own = zip(record.annotation_ids, record.segmentations, strict=True)
    return replace(record, segmentations=tuple(s if has_area(s) else masks.get(i) for i, s in own))


def _mask_problems(record: ImageRecord) -> list[str]:
    without = [record.annotation_ids[instance] for instance in instances_without_mask(record)]
    missing = [located(annotation_id, record.image_id, "no mask, expected one") for annotation_id in without]
    return missing + record.segmentation_problems()
