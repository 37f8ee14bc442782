"""Box and mask AP and AR of detections as pycocotools computes them, and how closely masks resemble filled boxes.

hotcoco gives the numbers of pycocotools to the last bit in a fraction of the time; the tests compare them.
"""

import contextlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco import COCO, COCOeval
from pycocotools import mask as coco_mask

from core.datasets.masks import has_area
from core.evaluation.coco_input import comparison

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
    within = {"image_ids": image_ids, "category_ids": category_ids}
    boxes = comparison(COCO, COCOeval, content, box_results, "bbox", **within)
    statistics = _statistics(boxes, "box")
    box_per_category = _per_category(boxes)
    per_category = dict.fromkeys(box_per_category, math.nan)
    if any(has_area(annotation.get("segmentation")) for annotation in content["annotations"]):
        masks = comparison(COCO, COCOeval, content, mask_results, "segm", **within)
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
    within = {"image_ids": image_ids, "category_ids": category_ids}
    found: dict[int, float | None] = {}
    for of_image in _matches(comparison(COCO, COCOeval, content, mask_results, "segm", **within)):
        scores = dict(zip(of_image["dtIds"], of_image["dtScores"], strict=True))
        matches = of_image["gtMatches"][0]
        for id_, match, ignored in zip(of_image["gtIds"], matches, of_image["gtIgnore"], strict=True):
            if not ignored:
                found[id_ - 1] = float(scores[int(match)]) if match > 0 else None
    return dict(sorted(found.items()))


def matched_boxes(
    content: dict[str, Any],
    box_results: list[dict],
    *,
    image_ids: Sequence[int] | None = None,
    category_ids: Sequence[int] | None = None,
) -> list[tuple[int, int]]:
    """Pairs of a detection and the annotation that its box matches, both by index from 0, by class and image.

    As COCO matches at IoU 0.5: in the order of their scores, detections take the annotation of their class with the
    largest box IoU, at least 0.5, of those that none before has taken. Crowd regions are left out. Arguments as in
    `coco_metrics`.
    """
    within = {"image_ids": image_ids, "category_ids": category_ids}
    return _matched_pairs(comparison(COCO, COCOeval, content, box_results, "bbox", **within))


def _statistics(run: COCOeval, prefix: str) -> dict[str, float]:
    run.evaluate()
    run.accumulate()
    with contextlib.redirect_stdout(io.StringIO()):  # it prints them too
        run.summarize()
    return {f"{prefix}_{key}": _percent(value) for key, value in zip(AP_KEYS + AR_KEYS, run.stats, strict=True)}


def _per_category(run: COCOeval) -> dict[int, float]:
    """AP by category, after `_statistics`."""
    # Precision by IoU threshold, recall, category, size range (0: all) and number of detections (-1: 100).
    precision = run.eval["precision"][:, :, :, 0, -1]
    return {int(category): _percent(precision[:, :, i].mean()) for i, category in enumerate(run.params.catIds)}


def _matches(run: COCOeval) -> list[dict[str, Any]]:
    """What matches in each image and class, at IoU 0.5 and of any size, in the order of classes, then images.

    `run` is set to that for good.
    """
    run.params.iouThrs = [0.5]
    run.params.areaRng, run.params.areaRngLbl = run.params.areaRng[:1], run.params.areaRngLbl[:1]
    run.evaluate()
    found = [of_image for of_image in run.evalImgs if of_image is not None]
    return sorted(found, key=lambda of_image: (of_image["category_id"], of_image["image_id"]))


def _percent(value: float) -> float:
    """In percent; NaN for -1, pycocotools' value if there is nothing to find."""
    return 100 * float(value) if value >= 0 else math.nan


def _matched_pairs(boxes: COCOeval) -> list[tuple[int, int]]:
    """Indices of the detections that match and of their annotations, from 0; `boxes` is set to IoU 0.5 for good."""
    pairs = []
    for of_image in _matches(boxes):
        of_detections = zip(of_image["dtIds"], of_image["dtMatches"][0], of_image["dtIgnore"][0], strict=True)
        pairs += [(id_ - 1, int(match) - 1) for id_, match, ignored in of_detections if match > 0 and not ignored]
    return pairs


def _mask_to_box_area(boxes: COCOeval, box_results: list[dict], mask_results: list[dict]) -> float:
    found = [detection for detection, _ in _matched_pairs(boxes)]
    if not found:
        return math.nan
    # One mask per call: pycocotools 2.0 with NumPy 2 fails on lists of more than 255.
    mask_areas = np.array([coco_mask.area(mask_results[i]["segmentation"]) for i in found], dtype=np.float64)
    box_areas = np.array([box_results[i]["bbox"][2] * box_results[i]["bbox"][3] for i in found])
    return float(np.mean(mask_areas / box_areas))
