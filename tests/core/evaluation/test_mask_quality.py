"""Quality of masks on matched boxes, by hand: IoU, filled boxes, parts of a mask."""

import math

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from scipy.ndimage import label

from core.evaluation.boundary import BOUNDARY_METRICS
from core.evaluation.coco_metrics import matched_boxes
from core.evaluation.mask_quality import box_coverage, count_fragments, mask_quality, matched_mask_ious
from core.record import MASK_QUALITY, PSEUDO_MASK_QUALITY, QUALITY
from tests.core.evaluation.rectangles import annotation, encode, file_of, results_of
from tests.core.evaluation.test_same_as_pycocotools import scene


def test_matches_are_the_best_scoring_detection_of_each_object_with_its_class_and_box() -> None:
    truth = file_of(
        [annotation((0, 0, 40, 40)), annotation((100, 0, 40, 40)), annotation((0, 100, 40, 40), category=8)],
        categories=(7, 8),
    )
    boxes, _ = results_of(
        [(0, 0, 40, 30), (0, 0, 40, 40), (100, 0, 40, 19), (0, 100, 40, 40)],
        [0.9, 0.8, 0.7, 0.6],
    )
    # 0: IoU 0.75 and the better score; 1 comes too late; 2: IoU 19/40; 3: of class 7 where the object is of class 8
    assert matched_boxes(truth, boxes) == [(0, 0)]
    assert matched_boxes(truth, boxes, category_ids=[8]) == []


def test_a_detection_takes_the_object_that_it_fits_best() -> None:
    # The boxes overlap: the first detection has IoU 0.6 with the first object and 1 with the second.
    truth = file_of([annotation((0, 0, 40, 40)), annotation((10, 0, 40, 40))])
    boxes, _ = results_of([(10, 0, 40, 40), (0, 0, 40, 40)], [0.9, 0.8])
    assert matched_boxes(truth, boxes) == [(0, 1), (1, 0)]


def test_detections_on_crowds_are_no_matches() -> None:
    truth = file_of([annotation((0, 0, 40, 40), iscrowd=1, segmentation=encode(0, 0, 40, 40))])
    boxes, masks = results_of([(0, 0, 40, 40)], [0.9])
    assert matched_boxes(truth, boxes) == []
    assert mask_quality(truth, boxes, masks)["matched_boxes"] == 0


def test_numbers_of_three_matched_masks_and_one_false_detection() -> None:
    truth = file_of([annotation((0, 0, 40, 40)), annotation((100, 0, 40, 40)), annotation((0, 100, 40, 40))])
    half = annotation((0, 100, 40, 40), segmentation=encode(0, 100, 20, 40))["segmentation"]
    truth["annotations"][2]["segmentation"] = half  # the third object fills half of its box
    objects = [(0, 0, 40, 40), (100, 0, 40, 40), (0, 100, 40, 40)]
    found = [(0, 0, 40, 38), (100, 0, 20, 40), (0, 100, 40, 40), (180, 100, 20, 20)]
    boxes, masks = results_of([*objects, (180, 100, 20, 20)], [0.9, 0.8, 0.7, 0.95], masks=found)
    # IoU 38/40, 1/2 and 1/2; coverage 0.95, 0.5 and 1; true masks cover 1, 1 and 0.5
    quality = mask_quality(truth, boxes, masks)
    assert tuple(quality) == MASK_QUALITY
    assert quality == {
        "mask_iou": pytest.approx((0.95 + 0.5 + 0.5) / 3),
        "mask_iou_median": 0.5,
        "matched_boxes": 3,
        "filled_box_share": pytest.approx(2 / 3),
        "true_filled_box_share": pytest.approx(2 / 3),
        "mask_fragments": 1,
    }


def test_parts_are_counted_of_masks_that_are_not_empty() -> None:
    truth = file_of([annotation((0, 0, 40, 40)), annotation((100, 0, 40, 40))])
    boxes, masks = results_of([(0, 0, 40, 40), (100, 0, 40, 40)], [0.9, 0.8], masks=[(0, 0, 9, 9), (0, 0, 0, 0)])
    assert mask_quality(truth, boxes, masks)["mask_fragments"] == 1
    assert mask_quality(truth, boxes, masks)["mask_iou"] == pytest.approx((81 / 1600 + 0) / 2)
    assert math.isnan(mask_quality(truth, boxes[1:], masks[1:])["mask_fragments"])


def test_without_a_match_there_is_nothing_to_measure() -> None:
    truth = file_of([annotation((0, 0, 40, 40))])
    for results in (([], []), results_of([(100, 100, 40, 40)], [0.9])):
        quality = mask_quality(truth, *results)
        assert quality.pop("matched_boxes") == 0
        assert all(math.isnan(value) for value in quality.values())


@pytest.mark.parametrize("seed", range(3))
def test_mean_and_median_are_those_of_the_ious_that_are_given_one_by_one(seed: int) -> None:
    content, boxes, masks = scene(seed, crowds=0)
    ious = matched_mask_ious(content, boxes, masks)
    quality = mask_quality(content, boxes, masks)
    assert len(ious) == quality["matched_boxes"] > 2
    assert (np.mean(ious), np.median(ious)) == (quality["mask_iou"], quality["mask_iou_median"])


def test_an_object_without_a_mask_counts_as_matched_alone() -> None:
    truth = file_of([annotation((0, 0, 40, 40)), annotation((100, 0, 40, 40), segmentation=[])])
    results = results_of([(0, 0, 40, 40), (100, 0, 40, 40)], [0.9, 0.8], masks=[(0, 0, 20, 40), (100, 0, 40, 40)])
    quality = mask_quality(truth, *results)
    assert (quality["matched_boxes"], quality["mask_iou"], quality["filled_box_share"]) == (2, 0.5, 0.5)
    assert quality["true_filled_box_share"] == 1  # of the only true mask
    assert matched_mask_ious(truth, *results) == [0.5]


def test_a_pixel_is_in_a_box_if_its_center_is() -> None:
    mask = np.zeros((10, 10), dtype=np.uint8)
    mask[2:4, 2:8] = 1
    assert box_coverage(mask, [2, 2, 6, 2]) == 1
    assert box_coverage(mask, [1.6, 1.6, 6.8, 2.8]) == 1  # 1.6 is past the center of pixel 1, 8.4 before that of 8
    assert box_coverage(mask, [1.4, 2, 6, 2]) == 10 / 12  # columns 1 to 6
    assert box_coverage(mask, [2, 2, 6, 4]) == 0.5
    assert box_coverage(mask, [2.6, 2.6, 0.2, 0.2]) == 1  # between two centers: the pixel it starts in
    assert box_coverage(mask, [6, 2, 40, 2]) == 4 / 8  # beyond the image there are no pixels
    assert box_coverage(mask, [20, 20, 5, 5]) == 0


def test_pixels_that_touch_at_a_corner_are_one_part() -> None:
    rows = ["##.....#", "..#.....", "........", "#.#.....", ".#......"]
    mask = np.array([[character == "#" for character in row] for row in rows]).astype(np.uint8)
    assert count_fragments(mask) == 3
    assert count_fragments(np.zeros((5, 5), dtype=np.uint8)) == 0


def test_parts_of_drawn_masks_are_those_that_scipy_labels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        mask = (rng.random(rng.integers(1, 40, 2)) < rng.uniform(0, 0.6)).astype(np.uint8)
        assert count_fragments(mask) == label(mask, np.ones((3, 3)))[1]


def test_the_iou_is_that_of_pixels_in_drawn_scenes() -> None:
    content, boxes, masks = scene(3, crowds=0)
    ious = []
    for detection, index in matched_boxes(content, boxes):
        segmentation = content["annotations"][index]["segmentation"]
        if isinstance(segmentation, list):
            segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, 160, 200))
        found, true = (
            coco_mask.decode(entry).astype(bool) for entry in (masks[detection]["segmentation"], segmentation)
        )
        ious.append((found & true).sum() / (found | true).sum())
    quality = mask_quality(content, boxes, masks)
    assert (len(ious), quality["matched_boxes"]) == (quality["matched_boxes"], len(ious))
    assert len(ious) > 5
    assert quality["mask_iou"] == pytest.approx(np.mean(ious))


def test_every_column_of_quality_is_measured() -> None:
    assert set(QUALITY) <= {*BOUNDARY_METRICS, *MASK_QUALITY, *PSEUDO_MASK_QUALITY}
