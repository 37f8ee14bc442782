"""Score threshold, NMS and the best detections: hand-worked cases and AdelaiDet's inference (golden j)."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from core.evaluation.selection import select_detections
from tests.core.evaluation.replay import SETTINGS, golden_network, predictions_of


def test_threshold_is_on_the_product_and_the_score_is_its_root() -> None:
    # products: 0.5*0.5 = 0.25, 0.5*0.09 = 0.045 (below 0.05), 0.06*1 = 0.06, 0.049*1 (below)
    # cells lie 8 px apart and boxes are 8 px wide: no overlap
    predictions = predictions_of(
        torch.tensor([[0.5], [0.5], [0.06], [0.049]]),
        torch.full((4, 4), 0.5),
        centerness=torch.tensor([0.5, 0.09, 1.0, 1.0]),
    )
    found = select_detections(predictions, **SETTINGS)[0]
    assert found.location_index.tolist() == [0, 2]
    torch.testing.assert_close(found.scores, torch.tensor([0.25, 0.06]).sqrt())


def test_a_product_equal_to_the_threshold_is_no_detection() -> None:
    # 0.5 exactly: of the logit 0, and a centerness of 1 (its logit is infinite)
    predictions = predictions_of(torch.tensor([[0.5], [0.6], [0.01], [0.01]]), torch.full((4, 4), 0.1))
    found = select_detections(predictions, **(SETTINGS | {"score_threshold": 0.5}))[0]
    assert found.location_index.tolist() == [1]


def test_boxes_are_measured_in_strides_from_the_location_and_may_leave_the_image() -> None:
    # stride 8, cell 1 at (12, 4); ltrb (2, 1, 3, 4) strides = (16, 8, 24, 32) px
    probabilities = torch.tensor([[0.01], [0.9], [0.01], [0.01]])
    found = select_detections(predictions_of(probabilities, torch.tensor([[2.0, 1, 3, 4]] * 4)), **SETTINGS)[0]
    assert found.boxes.tolist() == [[-4, -4, 36, 36]]


def test_overlapping_boxes_of_one_class_are_suppressed_and_those_of_two_are_not() -> None:
    # Boxes of 80 px around locations 8 px apart: IoU = 72/88 = 0.82 > 0.6.
    probabilities = torch.tensor([[0.6, 0.01], [0.9, 0.01], [0.01, 0.8], [0.01, 0.7]])
    found = select_detections(predictions_of(probabilities, torch.full((4, 4), 5.0)), **SETTINGS)[0]
    assert found.location_index.tolist() == [1, 2]
    assert found.labels.tolist() == [0, 1]


def test_one_location_may_answer_for_several_classes() -> None:
    probabilities = torch.tensor([[0.6, 0.9], [0.01, 0.01], [0.01, 0.01], [0.01, 0.01]])
    found = select_detections(predictions_of(probabilities, torch.ones(4, 4)), **SETTINGS)[0]
    assert found.location_index.tolist() == [0, 0]
    assert found.labels.tolist() == [1, 0]


def test_candidates_are_limited_on_each_level_by_itself() -> None:
    # level 0 has 4 locations, level 1 has 2; no boxes overlap. The two best of level 0, both of level 1.
    probabilities = torch.tensor([[0.9], [0.6], [0.8], [0.7], [0.3], [0.2]])
    predictions = predictions_of(probabilities, torch.full((6, 4), 0.1), level_sizes=((1, 4), (1, 2)))
    for limit, expected in ((1, [0, 4]), (2, [0, 2, 4, 5]), (3, [0, 2, 3, 4, 5]), (4, [0, 2, 3, 1, 4, 5])):
        found = select_detections(predictions, **(SETTINGS | {"max_candidates": limit}))[0]
        assert found.location_index.tolist() == expected


def test_ties_with_the_last_kept_score_are_kept() -> None:
    predictions = predictions_of(torch.tensor([[0.9], [0.5], [0.5], [0.4]]), torch.full((4, 4), 0.1))
    found = select_detections(predictions, **(SETTINGS | {"max_detections": 2}))[0]
    assert sorted(found.location_index.tolist()) == [0, 1, 2]


@pytest.mark.parametrize("image", [0, 1])
def test_golden_survivors_of_nms(golden: Callable, image: int) -> None:
    arrays = golden("j_inference_condinst")
    network, _, settings = golden_network(arrays)
    found = select_detections(network.predictions, **settings)[image]
    np.testing.assert_array_equal(found.labels, arrays[f"nms_pred_classes_im{image}"])
    np.testing.assert_array_equal(
        network.predictions.locations[found.location_index], arrays[f"nms_locations_im{image}"]
    )
    np.testing.assert_array_equal(
        network.predictions.level_index[found.location_index], arrays[f"nms_fpn_levels_im{image}"]
    )
    np.testing.assert_allclose(found.scores, arrays[f"nms_scores_im{image}"], atol=1e-6)
    if f"nms_boxes_im{image}" in arrays:
        np.testing.assert_allclose(found.boxes, arrays[f"nms_boxes_im{image}"], atol=1e-4, rtol=1e-6)
