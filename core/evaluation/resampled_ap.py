"""Mask AP on resampled images: the paired bootstrap over validation images, without matching anything again.

What a detection matches depends on its image alone. So the matches are found once, and each sample of images, drawn
with replacement, only weighs them: an image that was drawn twice counts twice, as two images with other ids would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hotcoco import COCO, COCOeval
from jaxtyping import Bool, Float, Int

from core.evaluation.coco_input import comparison, image_numbers

DRAWS = 200  # the standard deviation over as many draws is known to 5 %
SEED = 0
RECALLS = np.linspace(0.0, 1.0, 101)  # at which COCO reads the precision


@dataclass(frozen=True)
class ClassMatches:
    """The detections of one class in all images, from the highest score to the lowest, at each IoU threshold.

    `objects` is the number of objects to find in each image. An ignored detection counts neither as right nor wrong.
    """

    image: Int[np.ndarray, " D"]  # index of its image
    matched: Bool[np.ndarray, "T D"]
    ignored: Bool[np.ndarray, "T D"]
    objects: Int[np.ndarray, " images"]


def image_draws(num_images: int, *, draws: int = DRAWS, seed: int = SEED) -> Int[np.ndarray, "draws images"]:
    """How often each image is in each sample of as many images; equal arguments give equal samples."""
    return np.random.default_rng(seed).multinomial(num_images, np.full(num_images, 1 / num_images), size=draws)


def mask_matches(
    content: dict[str, Any], mask_results: list[dict], *, image_ids: Sequence[int], category_ids: Sequence[int]
) -> list[ClassMatches]:
    """Match the detections as COCO does for mask AP, of any size, at most 100 per class and image.

    Arguments are as in `core.evaluation.coco_metrics`; images are numbered in the order of `image_ids`.
    """
    within = {"image_ids": image_ids, "category_ids": category_ids}
    run = comparison(COCO, COCOeval, content, mask_results, "segm", **within)
    run.params.areaRng, run.params.areaRngLbl = run.params.areaRng[:1], run.params.areaRngLbl[:1]
    run.evaluate()
    number = image_numbers(content)
    places = {number[image_id]: place for place, image_id in enumerate(image_ids)}
    by_class: dict[int, list[dict[str, Any]]] = {category: [] for category in category_ids}
    for of_image in run.evalImgs:
        if of_image is not None:
            by_class[int(of_image["category_id"])].append(of_image)
    num_thresholds = len(run.params.iouThrs)
    return [_class_matches(of_images, places, num_thresholds) for of_images in by_class.values()]


def _class_matches(of_images: list[dict[str, Any]], places: dict[int, int], num_thresholds: int) -> ClassMatches:
    of_images = sorted(of_images, key=lambda of_image: of_image["image_id"])  # the order of equal scores
    objects = np.zeros(len(places), dtype=np.int64)
    for of_image in of_images:
        objects[places[int(of_image["image_id"])]] = np.count_nonzero(~np.asarray(of_image["gtIgnore"], dtype=bool))
    counts = [len(of_image["dtScores"]) for of_image in of_images]
    scores = np.concatenate([[], *(np.asarray(of_image["dtScores"], dtype=float) for of_image in of_images)])
    order = np.argsort(-scores, kind="mergesort")
    images = np.repeat([places[int(of_image["image_id"])] for of_image in of_images], counts).astype(np.int64)
    flags = [
        np.concatenate(
            [np.zeros((num_thresholds, 0), dtype=bool)]
            + [np.asarray(of_image[key]).reshape(num_thresholds, -1) > 0 for of_image in of_images],
            axis=1,
        )
        for key in ("dtMatches", "dtIgnore")
    ]
    return ClassMatches(images[order], flags[0][:, order], flags[1][:, order], objects)


def resampled_ap(
    matches: Sequence[ClassMatches], draws: Int[np.ndarray, "draws images"]
) -> Float[np.ndarray, " draws"]:
    """Mask AP in percent on each sample of images, as COCO accumulates it.

    A class without an object in a sample does not count there; NaN if no class has one.
    """
    by_class = np.array([_class_ap(of_class, draws) for of_class in matches]).reshape(len(matches), len(draws))
    known = ~np.isnan(by_class)
    sums, counts = np.where(known, by_class, 0.0).sum(axis=0), known.sum(axis=0)
    return np.where(counts > 0, 100 * sums / np.maximum(counts, 1), np.nan)


def _class_ap(matches: ClassMatches, draws: Int[np.ndarray, "draws images"]) -> Float[np.ndarray, " draws"]:
    """AP of one class on each sample, from 0 to 1; NaN without an object."""
    objects = draws @ matches.objects
    weights = draws[:, matches.image].astype(np.int32)
    sums = np.zeros(len(draws))
    for matched, ignored in zip(matches.matched, matches.ignored, strict=True):
        right = np.flatnonzero(matched & ~ignored)
        if not len(right):
            continue
        counted = np.cumsum(np.where(ignored, 0, weights), axis=1)[:, right]
        # Precision is highest at a detection that is right, so only these are looked at.
        hits = np.cumsum(weights[:, right], axis=1)
        precision = hits / (counted + np.spacing(1))
        highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = hits / np.maximum(objects, 1)[:, None]
        for draw in np.flatnonzero(objects):
            places = np.searchsorted(recall[draw], RECALLS, side="left")
            sums[draw] += highest[draw, places[places < len(right)]].sum() / len(RECALLS)
    return np.where(objects > 0, sums / len(matches.matched), np.nan)
