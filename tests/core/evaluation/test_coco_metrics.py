"""AP of hand-worked cases: what is found, what counts neither way, and what restricts it."""

import math

import numpy as np
import pytest

from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, METRICS, coco_metrics, found_annotations
from tests.core.evaluation.rectangles import annotation, encode, file_of, metrics_of, results_of


def test_perfect_detection_has_ap_100() -> None:
    metrics, per_category = metrics_of(file_of([annotation((10, 20, 40, 30))]), *results_of([(10, 20, 40, 30)], [0.9]))
    # 40*30 = 1200 px: a medium object (32^2 to 96^2), so small and large have nothing to find
    expected = {"AP": 100, "AP50": 100, "AP75": 100, "APs": math.nan, "APm": 100, "APl": math.nan}
    assert tuple(metrics) == METRICS
    for kind in ("mask", "box"):
        np.testing.assert_allclose([metrics[f"{kind}_{key}"] for key in AP_KEYS], list(expected.values()), atol=1e-9)
    assert per_category == {7: pytest.approx(100)}
    assert metrics["mask_to_box_area"] == 1


def test_missing_one_of_two_objects_halves_ap() -> None:
    # Recall reaches 1/2 at precision 1: of the 101 recall points 0, 0.01 .. 1, those up to 0.5 count, 51/101.
    truth = file_of([annotation((0, 0, 40, 40)), annotation((50, 50, 40, 40))])
    metrics, _ = metrics_of(truth, *results_of([(0, 0, 40, 40)], [0.9]))
    assert metrics["mask_AP"] == pytest.approx(100 * 51 / 101)
    assert metrics["box_AP"] == pytest.approx(100 * 51 / 101)


def test_better_scored_false_positive_halves_precision() -> None:
    truth = file_of([annotation((0, 0, 40, 40))])
    metrics, _ = metrics_of(truth, *results_of([(60, 50, 40, 40), (0, 0, 40, 40)], [0.9, 0.8]))
    assert metrics["box_AP"] == pytest.approx(50)


def test_mask_of_half_its_object_counts_up_to_iou_one_half() -> None:
    # Box right, mask the left half: IoU 0.5 passes the threshold 0.5 alone of 0.5, 0.55 .. 0.95.
    truth = file_of([annotation((0, 0, 40, 40))])
    metrics, _ = metrics_of(truth, *results_of([(0, 0, 40, 40)], [0.9], masks=[(0, 0, 20, 40)]))
    assert metrics["box_AP"] == pytest.approx(100)
    assert metrics["mask_AP50"] == pytest.approx(100)
    assert metrics["mask_AP75"] == 0
    assert metrics["mask_AP"] == pytest.approx(10)
    assert metrics["mask_to_box_area"] == pytest.approx(0.5)


def test_area_ratio_counts_the_detection_that_finds_the_object_and_no_other() -> None:
    truth = file_of([annotation((0, 0, 40, 40)), annotation((60, 40, 20, 20))])
    boxes = [(0, 0, 40, 40), (0, 0, 40, 39), (60, 40, 20, 20), (90, 0, 10, 10)]
    masks = [(0, 0, 20, 40), (0, 0, 40, 39), (60, 40, 20, 15), (90, 0, 10, 10)]
    # The second is a double, the fourth finds nothing: mean of 800/1600 and 300/400.
    metrics, _ = metrics_of(truth, *results_of(boxes, [0.9, 0.8, 0.3, 0.95], masks=masks))
    assert metrics["mask_to_box_area"] == pytest.approx((0.5 + 0.75) / 2)


def test_area_ratio_of_many_objects() -> None:
    # pycocotools' area fails on lists of more than 255 masks
    boxes = [(10 * (i % 20), 10 * (i // 20), 8, 8) for i in range(100)]
    annotations = [annotation(box, image=image) for image in (1, 2, 3) for box in boxes]
    results = [results_of(boxes, [0.9] * 100, image=image) for image in (1, 2, 3)]
    found = [entry for boxes, _ in results for entry in boxes], [entry for _, masks in results for entry in masks]
    metrics, _ = metrics_of(file_of(annotations, images=3), *found)
    assert metrics["mask_to_box_area"] == 1


def test_detections_on_crowds_count_neither_way() -> None:
    crowd = annotation((50, 0, 60, 60), iscrowd=1)
    crowd["segmentation"] = encode(50, 0, 60, 60)
    truth = file_of([annotation((0, 0, 40, 40)), crowd])
    boxes, scores = [(55, 5, 20, 20), (60, 20, 30, 30), (0, 0, 40, 40)], [0.99, 0.98, 0.5]
    halves = [(55, 5, 10, 20), (60, 20, 15, 30), (0, 0, 40, 40)]  # of those on the crowd: they are no part of the mean
    for masks in (boxes, halves):
        metrics, _ = metrics_of(truth, *results_of(boxes, scores, masks=masks))
        assert metrics["mask_AP"] == pytest.approx(100)
        assert metrics["box_AP"] == pytest.approx(100)
        assert metrics["mask_to_box_area"] == 1


@pytest.mark.parametrize("masks", [True, False])
def test_an_annotation_to_be_ignored_is_a_crowd_whatever_its_iscrowd(masks: bool) -> None:
    # 60 x 60 px at x = 50: two detections on it are neither found nor wrong, as on a crowd.
    ignored = annotation((50, 0, 60, 60), ignore=1)
    if not masks:
        del ignored["segmentation"]
    boxes, scores = [(55, 5, 20, 20), (60, 20, 30, 30), (0, 0, 40, 40)], [0.99, 0.98, 0.5]
    one = annotation((0, 0, 40, 40), ignore=0)
    for content in (file_of([one, ignored]), file_of([one, ignored | {"iscrowd": 1}])):
        metrics, _ = metrics_of(content, *results_of(boxes, scores))
        assert metrics["box_AP"] == pytest.approx(100)
        assert metrics["mask_AP"] == pytest.approx(100)
    found = found_annotations(file_of([one, ignored]), results_of(boxes, scores)[1])
    assert found == {0: 0.5}


def test_no_detections_have_ap_0() -> None:
    metrics, per_category = metrics_of(file_of([annotation((0, 0, 40, 40))]), [], [])
    assert metrics["mask_AP"] == metrics["box_AP"] == 0
    assert math.isnan(metrics["mask_to_box_area"])
    assert per_category == {7: 0}


def test_nothing_to_find_is_nan() -> None:
    for truth in (file_of([]), file_of([], images=0), file_of([], images=0, categories=())):
        metrics, _ = metrics_of(truth, [], [])
        assert all(math.isnan(value) for value in metrics.values())
    metrics, per_category = metrics_of(file_of([]), *results_of([(0, 0, 40, 40)], [0.9]))
    assert math.isnan(metrics["box_AP"])
    assert math.isnan(per_category[7])


def test_class_without_objects_does_not_enter_the_mean() -> None:
    truth = file_of(
        [annotation((0, 0, 40, 40), category=3), annotation((50, 50, 40, 40), category=7)], categories=(3, 5, 7)
    )
    metrics, per_category = metrics_of(truth, *results_of([(0, 0, 40, 40)], [0.9], category=3))
    assert metrics["mask_AP"] == pytest.approx(50)
    assert per_category[3] == pytest.approx(100)
    assert math.isnan(per_category[5])
    assert per_category[7] == 0


def test_metrics_may_be_restricted_to_some_images_and_classes() -> None:
    truth = file_of(
        [
            annotation((0, 0, 40, 40)),
            annotation((0, 0, 40, 40), image=2),
            annotation((50, 50, 40, 40), category=3),
        ],
        images=2,
        categories=(3, 7),
    )
    found = results_of([(0, 0, 40, 40)], [0.9])
    assert metrics_of(truth, *found)[0]["mask_AP"] == pytest.approx((100 * 51 / 101 + 0) / 2)
    metrics, per_category = metrics_of(truth, *found, image_ids=[1], category_ids=[7])
    assert metrics["mask_AP"] == metrics["box_AP"] == pytest.approx(100)
    assert list(per_category) == [7]


def test_recall_counts_the_best_detections_of_each_image() -> None:
    # Two objects, both found, by the first and by the second detection: one detection an image finds half of them.
    truth = file_of([annotation((0, 0, 40, 40)), annotation((50, 50, 40, 40))])
    recalls = coco_metrics(truth, *results_of([(0, 0, 40, 40), (50, 50, 40, 40)], [0.9, 0.8])).recalls
    for kind in ("mask", "box"):
        found = [recalls[f"{kind}_{key}"] for key in AR_KEYS]
        np.testing.assert_allclose(found, [50, 100, 100, math.nan, 100, math.nan])
