"""AP where annotation files leave something out, or write masks in another form."""

import math

import pytest

from core.evaluation.coco_metrics import AP_KEYS
from tests.core.evaluation.rectangles import SIZE, annotation, encode, file_of, metrics_of, rectangle, results_of


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
