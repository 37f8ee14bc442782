"""Box and mask AP and AR of detections with pycocotools, and how closely masks resemble filled boxes."""

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from core.datasets.crowds import is_crowd
from core.datasets.masks import has_area, is_polygons, parts_with_area

AP_KEYS = ("AP", "AP50", "AP75", "APs", "APm", "APl")  # in the order of pycocotools' statistics
AR_KEYS = ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")  # after those; AR1: one detection per image
METRICS = tuple(f"{kind}_{key}" for kind in ("mask", "box") for key in AP_KEYS) + ("mask_to_box_area",)
RECALLS = tuple(f"{kind}_{key}" for kind in ("mask", "box") for key in AR_KEYS)


@dataclass(frozen=True)
class CocoScores:
    """All in percent except `mask_to_box_area`; NaN if there is nothing to find."""

    metrics: dict[str, float]  # the keys METRICS
    recalls: dict[str, float]  # the keys RECALLS
    per_category: dict[int, float]  # mask AP by category id
    box_per_category: dict[int, float]  # box AP by category id


def coco_metrics(
    content: dict[str, Any],
    box_results: list[dict],
    mask_results: list[dict],
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> CocoScores:
    """Compute METRICS, RECALLS, and AP by category.

    `content` is the content of an annotation file (see `AnnotationFile.check_for_evaluation`); `image_ids` and
    `category_ids` restrict it (default: all). Results are in COCO's results format; entry i of both is one detection.
    At most 100 detections per class and image count.

    AP and AR are NaN if there is no annotation to find, as for masks in a file without masks. `mask_to_box_area` is
    the mean of mask area / box area over the detections that match an annotation (same class, box IoU at least 0.5,
    one detection per annotation): 1 if masks fill their boxes, above 1 if they extend beyond them. It needs no
    annotated mask and no score threshold, and is NaN if nothing matches.

    AP and AR equal those of pycocotools if the file is complete. If not: a missing `area` is that of the box; in a
    file with masks, an annotation without one is a crowd region for mask AP, so that detections on it are ignored;
    polygons of fewer than three vertices are dropped, alone or as parts of a mask; annotation ids may repeat or be 0
    (which pycocotools reads as "not found"). An annotation with `ignore: 1` is a crowd region like one with
    `iscrowd: 1`, as in training: pycocotools overwrites `ignore` by `iscrowd`, so that it would be an object to find.
    """
    boxes = _run(content, box_results, "bbox", image_ids, category_ids)
    statistics = _statistics(boxes, "box")
    box_per_category = _per_category(boxes)
    per_category = dict.fromkeys(box_per_category, math.nan)
    if any(has_area(annotation.get("segmentation")) for annotation in content["annotations"]):
        masks = _run(content, mask_results, "segm", image_ids, category_ids)
        statistics |= _statistics(masks, "mask")
        per_category = _per_category(masks)
    statistics["mask_to_box_area"] = _mask_to_box_area(boxes, box_results, mask_results)
    return CocoScores(
        metrics={name: statistics.get(name, math.nan) for name in METRICS},
        recalls={name: statistics.get(name, math.nan) for name in RECALLS},
        per_category=per_category,
        box_per_category=box_per_category,
    )


def found_annotations(
    content: dict[str, Any],
    mask_results: list[dict],
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> dict[int, float | None]:
    """Score of the detection that matches each annotated mask, None if none does, by index in the file (from 0).

    Matching is as for mask AP50: same class, mask IoU at least 0.5, one detection per annotation. Detections are
    matched in the order of their scores, so those below a score threshold never affect the matches above it. Crowd
    regions and annotations without a mask are left out. Arguments as in `coco_metrics`.
    """
    run = _run(content, mask_results, "segm", image_ids, category_ids)
    found: dict[int, float | None] = {}
    for of_image in run.evalImgs:  # one per category, size range and image
        if of_image is None or of_image["aRng"] != run.params.areaRng[0]:
            continue
        scores = dict(zip(of_image["dtIds"], of_image["dtScores"], strict=True))
        matches = of_image["gtMatches"][0]  # row 0: IoU 0.5
        for id_, match, ignored in zip(of_image["gtIds"], matches, of_image["gtIgnore"], strict=True):
            if not ignored:
                found[id_ - 1] = float(scores[int(match)]) if match > 0 else None
    return dict(sorted(found.items()))


def _run(
    content: dict[str, Any],
    results: list[dict],
    kind: Literal["bbox", "segm"],
    image_ids: Sequence[int] | None,
    category_ids: Sequence[int] | None,
) -> COCOeval:
    """Run COCOeval: evaluate, accumulate and summarize; its printed output is dropped.

    Images are numbered in the order of their ids: pycocotools would round ids of 64 bits and lose them.
    """
    number = {image_id: i for i, image_id in enumerate(sorted(image["id"] for image in content["images"]), 1)}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "categories": content["categories"],
            "images": [image | {"id": number[image["id"]]} for image in content["images"]],
            "annotations": [
                _complete(annotation, id_, kind) | {"image_id": number[annotation["image_id"]]}
                for id_, annotation in enumerate(content["annotations"], 1)
            ],
        }
        truth.createIndex()
        if results:
            found = truth.loadRes([result | {"image_id": number[result["image_id"]]} for result in results])
        else:
            found = COCO()
            found.dataset = {**truth.dataset, "annotations": []}
            found.createIndex()
        run = COCOeval(truth, found, kind)
        if image_ids is not None:
            run.params.imgIds = [number[image_id] for image_id in image_ids]
        if category_ids is not None:
            run.params.catIds = list(category_ids)
        run.evaluate()
        run.accumulate()
        run.summarize()
    return run


def _complete(annotation: dict[str, Any], annotation_id: int, kind: Literal["bbox", "segm"]) -> dict[str, Any]:
    """A copy of the annotation with all keys that pycocotools reads."""
    x, y, width, height = annotation["bbox"]
    complete = {"area": width * height} | annotation | {"id": annotation_id, "iscrowd": int(is_crowd(annotation))}
    if kind == "segm" and not has_area(annotation.get("segmentation")):
        outline = [x, y, x + width, y, x + width, y + height, x, y + height]
        complete |= {"segmentation": [outline], "iscrowd": 1}
    elif kind == "segm" and is_polygons(annotation["segmentation"]):
        complete["segmentation"] = parts_with_area(annotation["segmentation"])
    return complete


def _statistics(run: COCOeval, prefix: str) -> dict[str, float]:
    return {f"{prefix}_{key}": _percent(value) for key, value in zip(AP_KEYS + AR_KEYS, run.stats, strict=True)}


def _per_category(run: COCOeval) -> dict[int, float]:
    # Precision by IoU threshold, recall, category, size range (0: all) and number of detections (-1: 100).
    precision = run.eval["precision"][:, :, :, 0, -1]
    return {int(category): _percent(precision[:, :, i].mean()) for i, category in enumerate(run.params.catIds)}


def _percent(value: float) -> float:
    """In percent; NaN for -1, pycocotools' value if there is nothing to find."""
    return 100 * float(value) if value >= 0 else math.nan


def _mask_to_box_area(boxes: COCOeval, box_results: list[dict], mask_results: list[dict]) -> float:
    found = []
    for of_image in boxes.evalImgs:  # one per category, size range and image
        if of_image is None or of_image["aRng"] != boxes.params.areaRng[0]:
            continue
        matched = (of_image["dtMatches"][0] > 0) & ~of_image["dtIgnore"][0].astype(bool)  # row 0: IoU 0.5
        found += [of_image["dtIds"][i] - 1 for i in np.flatnonzero(matched)]  # results are numbered from 1
    if not found:
        return math.nan
    # One mask per call: pycocotools 2.0 with NumPy 2 fails on lists of more than 255.
    mask_areas = np.array([coco_mask.area(mask_results[i]["segmentation"]) for i in found], dtype=np.float64)
    box_areas = np.array([box_results[i]["bbox"][2] * box_results[i]["bbox"][3] for i in found])
    return float(np.mean(mask_areas / box_areas))
