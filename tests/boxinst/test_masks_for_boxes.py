"""A mask for every given box: inside it, or the filled box, which says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boxinst import BoxMasks, Predictor
from tests.boxinst.conftest import MASK_RCNN, noise, write_checkpoint

BOXES = [[10.0, 10.0, 60.0, 70.0], [50.5, 5.0, 119.0, 79.0]]


def masks_in(predictor: Predictor, boxes: Any, labels: Any = None, **settings: Any) -> BoxMasks:
    return predictor.masks_for_boxes(noise(80, 120), boxes, labels, **settings)


@pytest.mark.parametrize("model", [{}, MASK_RCNN], ids=["condinst", "mask_rcnn"])
def test_every_box_gets_a_mask_inside_it(model: dict[str, Any], tmp_path: Path) -> None:
    predictor = Predictor(write_checkpoint(tmp_path, **model), device="cpu")
    found = masks_in(predictor, BOXES)
    assert found.masks.shape == (2, 80, 120)
    for mask, (x1, y1, x2, y2) in zip(found.masks, BOXES, strict=True):
        rows, columns = slice(int(y1 + 0.5), int(y2 + 0.5)), slice(int(x1 + 0.5), int(x2 + 0.5))
        inside = mask[rows, columns]
        assert 0 < inside.sum() < inside.size
        assert mask.sum() == inside.sum()


def test_the_class_of_a_box_matters_to_mask_rcnn(tmp_path: Path) -> None:
    predictor = Predictor(write_checkpoint(tmp_path, **MASK_RCNN), device="cpu")
    of_classes = [masks_in(predictor, BOXES, labels=[label, label]).masks for label in (0, 1)]
    assert not np.array_equal(*of_classes)
    best = masks_in(predictor, BOXES).masks
    assert all(any(np.array_equal(mask, of_class[i]) for of_class in of_classes) for i, mask in enumerate(best))


def test_equal_boxes_get_equal_masks(predictor: Predictor) -> None:
    found = masks_in(predictor, [BOXES[0], BOXES[0], BOXES[0]])
    assert not found.filled.any()
    assert np.array_equal(found.masks[0], found.masks[1])
    assert np.array_equal(found.masks[0], found.masks[2])


def test_a_box_too_small_for_the_network_is_filled_and_says_so(predictor: Predictor) -> None:
    found = masks_in(predictor, [BOXES[0], [1, 1, 3, 4]], close_views=False)
    assert found.filled.tolist() == [False, True]
    assert not masks_in(predictor, [[1, 1, 3, 4]]).filled.any()  # in a close view it is large enough
    assert found.masks[1].sum() == 2 * 3
    assert found.masks[1, 1:4, 1:3].all()


def test_boxes_are_clipped_to_the_image_and_none_give_none(predictor: Predictor) -> None:
    inside, beyond = masks_in(predictor, [[60, 20, 120, 80]]), masks_in(predictor, [[60, 20, 200, 300]])
    assert np.array_equal(inside.masks, beyond.masks)
    for nothing in ([], np.zeros((0, 4))):
        found = masks_in(predictor, nothing)
        assert (found.masks.shape, found.filled.shape) == ((0, 80, 120), (0,))


WRONG_BOXES = {
    r"boxes have shape \(4,\), expected \(N, 4\)": [10, 10, 60, 70],
    "boxes are not N x 4 numbers": [[1, 2, 3], [1, 2, 3, 4]],
    r"box 1 is \[0.0, 0.0, nan, 5.0\], expected finite": [BOXES[0], [0, 0, float("nan"), 5]],
    r"box 0 is \[50.0, 50.0, 20.0, 20.0\], .* \(not x, y, width, height\)": [[50, 50, 20, 20]],
    "inside the image of 120 x 80 pixels": [[130, 10, 150, 30]],
}


@pytest.mark.parametrize(("message", "boxes"), WRONG_BOXES.items())
def test_wrong_boxes_are_named(predictor: Predictor, message: str, boxes: Any) -> None:
    with pytest.raises(ValueError, match=message):
        masks_in(predictor, boxes)


WRONG_LABELS = {
    r"labels have shape \(1,\), expected \(2,\)": [0],
    "labels are float64, expected integers": [0.0, 1.0],
    "labels contain 2, expected 0 to 1": [0, 2],
}


@pytest.mark.parametrize(("message", "labels"), WRONG_LABELS.items())
def test_wrong_labels_are_named(predictor: Predictor, message: str, labels: Any) -> None:
    with pytest.raises(ValueError, match=message):
        masks_in(predictor, BOXES, labels)


@pytest.mark.gpu
def test_on_a_gpu_the_masks_are_those_of_the_cpu(predictor: Predictor, folder: Path) -> None:
    on_gpu = Predictor(folder / "checkpoint.pt", device="cuda")
    assert (masks_in(on_gpu, BOXES).masks == masks_in(predictor, BOXES).masks).mean() > 0.99
