"""AP of hand-worked cases, equality with pycocotools, and annotation files that leave something out."""

import math
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, METRICS, coco_metrics, found_annotations

SIZE = (200, 240)  # height, width of every image


def rectangle(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def encode(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    mask = np.zeros(SIZE, dtype=np.uint8, order="F")
    mask[y : y + height, x : x + width] = 1
    encoded = coco_mask.encode(mask)
    return {"size": list(SIZE), "counts": encoded["counts"].decode()}


def annotation(box: tuple[int, ...], *, image: int = 1, category: int = 7, **other: Any) -> dict[str, Any]:
    """An annotated rectangle that fills its box."""
    return {
        "id": 1,
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "area": box[2] * box[3],
        "iscrowd": 0,
        "segmentation": rectangle(*box),
    } | other


def file_of(annotations: list[dict], *, images: int = 1, categories: tuple[int, ...] = (7,)) -> dict[str, Any]:
    return {
        "images": [{"id": i + 1, "height": SIZE[0], "width": SIZE[1]} for i in range(images)],
        "categories": [{"id": category, "name": f"class {category}"} for category in categories],
        "annotations": [entry | {"id": i + 1} for i, entry in enumerate(annotations)],
    }


def results_of(
    boxes: list[tuple[int, ...]],
    scores: list[float],
    *,
    masks: list[tuple[int, ...]] | None = None,
    image: int = 1,
    category: int = 7,
) -> tuple[list[dict], list[dict]]:
    """Box results and mask results; masks fill their boxes unless they are given."""
    shared = [{"image_id": image, "category_id": category, "score": score} for score in scores]
    return (
        [entry | {"bbox": list(box)} for entry, box in zip(shared, boxes, strict=True)],
        [entry | {"segmentation": encode(*mask)} for entry, mask in zip(shared, masks or boxes, strict=True)],
    )


def metrics_of(*arguments: Any, **options: Any) -> tuple[dict[str, float], dict[int, float]]:
    """The metrics, and mask AP by category."""
    scores = coco_metrics(*arguments, **options)
    return scores.metrics, scores.per_category


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


def test_file_without_masks_has_box_ap_alone() -> None:
    without = annotation((0, 0, 40, 40))
    del without["segmentation"], without["area"], without["iscrowd"]
    metrics, per_category = metrics_of(file_of([without]), *results_of([(0, 0, 40, 40)], [0.9], masks=[(0, 0, 20, 40)]))
    assert metrics["box_AP"] == metrics["box_APm"] == pytest.approx(100)  # 1600 px by the box: medium
    assert all(math.isnan(metrics[f"mask_{key}"]) for key in AP_KEYS)
    assert math.isnan(per_category[7])
    assert metrics["mask_to_box_area"] == pytest.approx(0.5)


@pytest.mark.parametrize("empty", [None, [], [[]], [[60, 40, 80, 60]], [[], [60, 40]]])
def test_annotation_without_a_mask_among_others_is_ignored_by_mask_ap(empty: list | None) -> None:
    unknown = annotation((60, 40, 40, 40), segmentation=empty)
    truth = file_of([annotation((0, 0, 40, 40)), unknown])
    metrics, _ = metrics_of(truth, *results_of([(60, 40, 40, 40), (0, 0, 40, 40)], [0.9, 0.8]))
    assert metrics["mask_AP"] == pytest.approx(100)
    assert metrics["box_AP"] == pytest.approx(100)
    missed, _ = metrics_of(truth, *results_of([(0, 0, 40, 40)], [0.8]))
    assert missed["mask_AP"] == pytest.approx(100)
    assert missed["box_AP"] == pytest.approx(100 * 51 / 101)


@pytest.mark.parametrize("empty", [[], [[]], [[0, 0, 40, 40]]])
def test_file_of_polygons_without_area_has_box_ap_alone(empty: list) -> None:
    truth = file_of([annotation((0, 0, 40, 40), segmentation=empty)])
    metrics, per_category = metrics_of(truth, *results_of([(0, 0, 40, 40)], [0.9]))
    assert metrics["box_AP"] == pytest.approx(100)
    assert all(math.isnan(metrics[f"mask_{key}"]) for key in AP_KEYS)
    assert math.isnan(per_category[7])


@pytest.mark.parametrize("short", [[], [30, 30], [30, 30, 40, 40]])
def test_short_parts_of_a_polygon_are_left_out(short: list) -> None:
    (good,) = rectangle(0, 0, 40, 40)
    for parts in ([short, good], [good, short]):
        truth = file_of([annotation((0, 0, 40, 40), segmentation=parts)])
        metrics, _ = metrics_of(truth, *results_of([(0, 0, 40, 40)], [0.9]))
        assert metrics["mask_AP"] == pytest.approx(100)
        assert truth["annotations"][0]["segmentation"] == parts  # what is given is not written into


def test_all_three_forms_of_segmentation_have_the_same_ap() -> None:
    # Column by column: 40 columns of 40 pixels on and 160 off, then 200 columns off.
    runs = [0, 40] + [160, 40] * 39 + [160 + 200 * 200]
    forms = [rectangle(0, 0, 40, 40), encode(0, 0, 40, 40), {"size": list(SIZE), "counts": runs}]
    for form in forms:
        truth = file_of([annotation((0, 0, 40, 40), segmentation=form)])
        metrics, _ = metrics_of(truth, *results_of([(0, 0, 40, 40)], [0.9], masks=[(0, 0, 20, 40)]))
        assert metrics["mask_AP"] == pytest.approx(10)  # IoU 0.5: one threshold of ten


def test_annotation_ids_may_be_0_or_repeat() -> None:
    truth = file_of([annotation((0, 0, 40, 40)), annotation((50, 50, 40, 40))])
    for entry in truth["annotations"]:
        entry["id"] = 0
    metrics, _ = metrics_of(truth, *results_of([(0, 0, 40, 40), (50, 50, 40, 40)], [0.9, 0.8]))
    assert metrics["mask_AP"] == metrics["box_AP"] == pytest.approx(100)


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


def test_annotations_are_found_by_the_best_detection_of_their_class_and_place() -> None:
    truth = file_of(
        [
            annotation((0, 0, 40, 40)),
            annotation((100, 0, 40, 40)),
            annotation((0, 100, 40, 40)),
            annotation((100, 100, 40, 40), category=8),
            annotation((50, 50, 40, 40), iscrowd=1, segmentation=encode(50, 50, 40, 40)),
            annotation((150, 150, 20, 20), segmentation=[]),
        ],
        categories=(7, 8),
    )
    boxes = [(0, 0, 40, 40), (0, 0, 40, 39), (100, 0, 19, 40), (0, 100, 20, 40), (100, 100, 40, 40)]
    _, masks = results_of(boxes, [0.6, 0.9, 0.8, 0.3, 0.7])
    # 0: the double of score 0.9 comes first; 1: IoU 19/40 is too little; 2: 20/40 suffices; 3: found as another class
    assert found_annotations(truth, masks) == {0: pytest.approx(0.9), 1: None, 2: pytest.approx(0.3), 3: None}
    assert found_annotations(truth, []) == dict.fromkeys(range(4))
    assert list(found_annotations(truth, masks, category_ids=[8])) == [3]
    assert found_annotations(file_of([annotation((0, 0, 40, 40), segmentation=[])]), []) == {}


def test_what_is_found_at_a_score_does_not_depend_on_detections_below_it() -> None:
    random = np.random.default_rng(0)
    boxes = [(int(x), int(y), 40, 40) for x, y in random.integers(0, 150, (12, 2))]
    shifts = random.integers(0, 9, 12)
    moved = [(x + int(shift), y, 40, 40) for (x, y, _, _), shift in zip(boxes, shifts, strict=True)]
    scores = random.permutation(12) / 12
    truth, (_, masks) = file_of([annotation(box) for box in boxes]), results_of(moved, scores.tolist())
    everything = found_annotations(truth, masks)
    for least in (0.2, 0.5, 0.8):
        sure = found_annotations(truth, [mask for mask in masks if mask["score"] >= least])
        assert sure == {
            place: score if score is not None and score >= least else None for place, score in everything.items()
        }
