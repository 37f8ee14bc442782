"""Which annotations are found, and by detections of which score."""

import numpy as np
import pytest

from core.evaluation.coco_metrics import found_annotations
from tests.core.evaluation.rectangles import annotation, encode, file_of, results_of


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
