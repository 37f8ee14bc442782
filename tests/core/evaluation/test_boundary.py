"""Boundary IoU by hand, and boundary AP equal to an implementation that shares nothing with it but the annotations."""

import math
from typing import Any

import numpy as np
import pytest
from jaxtyping import Bool, Float
from pycocotools import mask as coco_mask
from scipy.ndimage import distance_transform_cdt

from core.evaluation.boundary import (
    BOUNDARY_METRICS,
    boundary_distance,
    boundary_iou,
    boundary_metrics,
    boundary_of,
)
from core.evaluation.coco_metrics import AP_KEYS, coco_metrics
from tests.core.evaluation.rectangles import annotation, encode, file_of, results_of
from tests.core.evaluation.test_same_as_pycocotools import scene

THRESHOLDS = np.linspace(0.5, 0.95, 10)
SIZES = {"": (0, 1e10), "s": (0, 32**2), "m": (32**2, 96**2), "l": (96**2, 1e10)}  # COCO's, px of a mask


def encoded(mask: Bool[np.ndarray, "H W"]) -> dict:
    return coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))


def drawn(text: str) -> Bool[np.ndarray, "H W"]:
    """A mask from lines in which # is a pixel of it."""
    return np.array([[character == "#" for character in line] for line in text.split()])


def slow_boundary(mask: Bool[np.ndarray, "H W"], distance: int) -> Bool[np.ndarray, "H W"]:
    """By the distance of each pixel to the next one outside, in an image with a border of outside."""
    to_outside = distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    return mask & (to_outside <= distance)


def slow_iou(first: Bool[np.ndarray, "H W"], second: Bool[np.ndarray, "H W"]) -> float:
    return (first & second).sum() / max((first | second).sum(), 1)


def test_the_boundary_reaches_two_percent_of_the_diagonal() -> None:
    assert boundary_distance(300, 400) == 10  # diagonal 500
    assert boundary_distance(160, 160) == 5  # 0.02 * 226.3 = 4.5
    assert boundary_distance(75, 100) == 2  # 2.5: a half is rounded to the even number, as by the authors
    assert boundary_distance(9, 9) == 1  # never 0


def test_the_boundary_of_a_mask_is_drawn_inside_of_it_and_along_the_sides_of_the_image() -> None:
    mask = drawn("""
        #####..
        #####..
        #####..
        #####..
        .......
    """)
    expected = drawn("""
        #####
        #...#
        #...#
        #####
    """)
    boundary = boundary_of(encoded(mask), 1)
    np.testing.assert_array_equal(boundary.pixels, expected)
    assert (boundary.top, boundary.left) == (0, 0)
    assert boundary_of(encoded(mask), 2).pixels.all()  # 4 rows: no pixel is more than 2 from the outside


def test_squares_in_each_other_share_pixels_but_no_outline() -> None:
    # 25 and 9 px: IoU 9/25. Their rings of 16 and 8 px have none in common.
    outer, inner = (np.zeros((9, 9), dtype=bool) for _ in range(2))
    outer[2:7, 2:7] = inner[3:6, 3:6] = True
    assert boundary_iou(*(boundary_of(encoded(mask), 1) for mask in (outer, inner))) == 0
    # With distance 2 the rings have 25 - 1 = 24 and 9 px; 8 of these 9 are in the 24.
    assert boundary_iou(*(boundary_of(encoded(mask), 2) for mask in (outer, inner))) == 8 / 25


@pytest.mark.parametrize("other", [(slice(0, 2), slice(5, 9)), (slice(5, 9), slice(0, 2)), (slice(0, 0), slice(0, 0))])
def test_masks_apart_and_empty_masks_have_iou_0(other: tuple[slice, slice]) -> None:
    masks = np.zeros((2, 9, 9), dtype=bool)
    masks[0, 0:2, 0:2] = masks[1][other] = True
    first, second = (boundary_of(encoded(mask), 1) for mask in masks)
    assert boundary_iou(first, second) == boundary_iou(second, first) == 0
    nothing = boundary_of(encoded(np.zeros((9, 9), dtype=bool)), 1)
    assert boundary_iou(nothing, nothing) == 0


def test_200_drawn_pairs_of_masks_have_the_boundaries_and_ious_of_the_slow_way() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        height, width = rng.integers(1, 60, 2)
        distance = int(rng.integers(1, 8))
        first = rng.random((height, width)) < rng.choice([0.3, 0.9, 0.99])
        top, left = rng.integers(0, height), rng.integers(0, width)
        second = np.zeros_like(first)
        second[top : top + rng.integers(0, 40), left : left + rng.integers(0, 40)] = True
        slow = [slow_boundary(mask, distance) for mask in (first, second)]
        fast = [boundary_of(encoded(mask), distance) for mask in (first, second)]
        for boundary, expected in zip(fast, slow, strict=True):
            placed = np.zeros_like(expected)
            rows, columns = boundary.pixels.shape
            placed[boundary.top : boundary.top + rows, boundary.left : boundary.left + columns] = boundary.pixels
            np.testing.assert_array_equal(placed, expected)
        assert boundary_iou(*fast) == slow_iou(*slow)


def test_a_strip_that_is_missing_costs_more_boundary_ap_than_mask_ap() -> None:
    # Image of 200 x 240, diagonal 312: distance 6. A square of 40 px, of which the mask lacks the last 3 rows.
    # Mask IoU 37/40 = 0.925, the thresholds 0.5 .. 0.9: AP 90.
    # Boundaries: 1600 - 28*28 = 816 and 1480 - 28*25 = 780 px, 1480 - 28*28 = 696 of them common: 696/900 = 0.773,
    # the thresholds 0.5 .. 0.75: AP 60.
    truth = file_of([annotation((50, 50, 40, 40))])
    boxes, masks = results_of([(50, 50, 40, 40)], [0.9], masks=[(50, 50, 40, 37)])
    assert coco_metrics(truth, boxes, masks).metrics["mask_AP"] == pytest.approx(90)
    metrics = boundary_metrics(truth, masks)
    assert tuple(metrics) == BOUNDARY_METRICS
    expected = {"AP": 60, "AP50": 100, "AP75": 100, "APs": math.nan, "APm": 60, "APl": math.nan}
    np.testing.assert_allclose(list(metrics.values()), list(expected.values()), atol=1e-9)


def test_a_crowd_region_ignores_detections_by_their_masks() -> None:
    # Inside of the crowd the detection has none of its boundary, but all of its mask.
    crowd = annotation((20, 20, 100, 100), iscrowd=1, segmentation=encode(20, 20, 100, 100))
    truth = file_of([annotation((150, 150, 40, 40)), crowd])
    _, masks = results_of([(50, 50, 30, 30), (150, 150, 40, 40)], [0.9, 0.8])
    assert boundary_metrics(truth, masks)["boundary_AP"] == pytest.approx(100)


def test_without_detections_it_is_0_and_without_masks_to_find_it_is_none() -> None:
    truth = file_of([annotation((50, 50, 40, 40))])
    assert boundary_metrics(truth, [])["boundary_AP"] == 0
    for nothing in (file_of([]), file_of([annotation((50, 50, 40, 40), segmentation=[])])):
        _, masks = results_of([(50, 50, 40, 40)], [0.9])
        assert all(math.isnan(value) for value in boundary_metrics(nothing, masks).values())


@pytest.mark.parametrize("seed", range(4))
def test_with_a_boundary_that_fills_every_mask_it_is_mask_ap_to_the_last_bit(seed: int) -> None:
    content, boxes, masks = scene(seed)
    of_masks = coco_metrics(content, boxes, masks, image_ids=[2, 3, 7]).metrics
    of_boundaries = boundary_metrics(content, masks, image_ids=[2, 3, 7], dilation=1.0)
    for key in AP_KEYS:
        np.testing.assert_equal(of_boundaries[f"boundary_{key}"], of_masks[f"mask_{key}"])


def pixels(segmentation: Any, height: int, width: int) -> Bool[np.ndarray, "H W"]:
    """A mask at full size; polygons and encodings as COCO reads them."""
    if isinstance(segmentation, list):
        segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    return coco_mask.decode(segmentation).astype(bool)


def slow_ious(
    found: list[Bool[np.ndarray, "H W"]], true: list[tuple[Bool[np.ndarray, "H W"], bool]], distance: int
) -> Float[np.ndarray, "D G"]:
    """The smaller of mask and boundary IoU; for a crowd the share of the detection within."""
    ious = np.zeros((len(found), len(true)))
    for d, mask in enumerate(found):
        for g, (other, crowd) in enumerate(true):
            of_boundaries = slow_iou(slow_boundary(mask, distance), slow_boundary(other, distance))
            within = (mask & other).sum() / max(mask.sum(), 1)
            ious[d, g] = within if crowd else min(slow_iou(mask, other), of_boundaries)
    return ious


def slow_average_precision(content: dict, results: list[dict]) -> dict[str, float]:
    """Boundary AP of all images by loops over pixels, pairs, thresholds and recalls."""
    width, height = content["images"][0]["width"], content["images"][0]["height"]
    distance = max(round(0.02 * math.hypot(width, height)), 1)
    groups = []  # scores, areas, IoUs with the annotations, areas and crowds of these; one for each class and image
    for category in content["categories"]:
        for image in content["images"]:
            here = [
                [
                    entry
                    for entry in entries
                    if (entry["image_id"], entry["category_id"]) == (image["id"], category["id"])
                ]
                for entries in (content["annotations"], results)
            ]
            found = [pixels(entry["segmentation"], height, width) for entry in here[1]]
            crowds = [bool(entry["iscrowd"]) for entry in here[0]]
            true = [pixels(entry["segmentation"], height, width) for entry in here[0]]
            ious = slow_ious(found, list(zip(true, crowds, strict=True)), distance)
            order = sorted(range(len(found)), key=lambda i: -here[1][i]["score"])[:100]
            scores, areas = [here[1][i]["score"] for i in order], [found[i].sum() for i in order]
            group = scores, areas, ious[order], [entry["area"] for entry in here[0]], crowds
            groups.append((category["id"], *group))
    values: dict[str, list[float]] = {}
    for size, (low, high) in SIZES.items():
        for threshold in THRESHOLDS:
            for category in {group[0] for group in groups}:
                mine = [group[1:] for group in groups if group[0] == category]
                precision = slow_precision(mine, threshold, low, high)
                if precision is not None:
                    values.setdefault(f"AP{size}", []).append(precision)
                    if not size and round(threshold, 2) in (0.5, 0.75):
                        values.setdefault(f"AP{round(100 * threshold)}", []).append(precision)
    return {key: 100 * float(np.mean(values[key])) if key in values else math.nan for key in AP_KEYS}


def slow_precision(groups: list[tuple], threshold: float, low: float, high: float) -> float | None:
    """Mean precision at 101 recalls of a class, from its images; None without an annotation of this size."""
    hits: list[tuple[float, bool]] = []
    wanted = 0
    for scores, areas, ious, true_areas, crowds in groups:
        ignored = [crowd or not low <= area <= high for area, crowd in zip(true_areas, crowds, strict=True)]
        wanted += ignored.count(False)
        taken: set[int] = set()
        for d, (score, area) in enumerate(zip(scores, areas, strict=True)):
            free = [g for g in range(len(crowds)) if (g not in taken or crowds[g]) and ious[d, g] >= threshold]
            best = max(
                [g for g in free if not ignored[g]] or free, key=lambda g, d=d: (ious[d, g], g), default=None
            )  # of equal ones the last, as in COCO
            if best is None:
                if low <= area <= high:
                    hits.append((score, False))
                continue
            taken.add(best)
            if not ignored[best]:
                hits.append((score, True))
    if not wanted:
        return None
    hits.sort(key=lambda hit: -hit[0])
    true = np.cumsum([hit for _, hit in hits])
    recalls, precisions = true / wanted, true / np.arange(1, len(hits) + 1)
    return float(np.mean([max(precisions[recalls >= r], default=0) for r in np.linspace(0, 1, 101)]))


@pytest.mark.parametrize("seed", range(9))
def test_boundary_ap_of_12_images_is_that_of_the_slow_way(seed: int) -> None:
    content, _, masks = scene(seed)  # 9 x 12 = 108 images
    metrics, expected = boundary_metrics(content, masks), slow_average_precision(content, masks)
    np.testing.assert_allclose(list(metrics.values()), [expected[key] for key in AP_KEYS], rtol=1e-9)
    assert metrics["boundary_AP"] < 100
