"""Crowds as regions of a sample: which cells and boxes a view gives, and which setting makes them."""

import logging

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from core.config import DataConfig, SupervisionConfig
from core.datasets.batch import collate, packed, unpacked
from core.datasets.coco import CocoDataset, load_training_set, load_validation_set
from core.datasets.crowds import Crowd, is_crowd
from core.datasets.ignored_regions import ignored_boxes, ignored_cells
from core.datasets.mask_tensors import sample_cell_centers
from core.datasets.transforms import View, apply_view
from tests.core.datasets.conftest import BOX, HEIGHT, RECTANGLE, WIDTH, annotation
from tests.core.datasets.test_coco import config

SIZE = (HEIGHT, WIDTH)
WHOLE = View(SIZE, (0, 0, *SIZE), flipped=False, color_factors=None)
CORNERS = (4.0, 8.0, 20.0, 16.0)  # xyxy of BOX


def training_set(root, crowds="ignore", supervision=None, **fields) -> CocoDataset:
    return load_training_set(config(root, crowds=crowds, **fields), supervision or SupervisionConfig(), seed=0)


def encoding(pixels: np.ndarray) -> dict:
    encoded = coco_mask.encode(np.asfortranarray(pixels, dtype=np.uint8))
    return encoded | {"counts": encoded["counts"].decode()}


def blot(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(SIZE) < 0.2


def test_crowds_are_marked_by_either_key():
    assert is_crowd({"iscrowd": 1})
    assert is_crowd({"iscrowd": 0, "ignore": 1})
    assert not is_crowd({"iscrowd": 0, "ignore": 0})
    assert not is_crowd({})


@pytest.mark.parametrize("segmentation", [None, [], [[1, 1, 5, 5]], RECTANGLE])
def test_a_region_is_its_mask_and_its_box_where_there_is_none(segmentation):
    (cells,) = [ignored_cells([Crowd(1, CORNERS, segmentation)], WHOLE, SIZE)]
    # Cell centers lie at 2, 6, 10, ...: columns 6, 10, 14, 18 and rows 10, 14 are inside.
    expected = torch.zeros(6, 10, dtype=torch.bool)
    expected[2:4, 1:5] = True
    assert torch.equal(cells, expected)


def test_a_region_with_a_mask_is_not_its_box():
    triangle = [[4, 8, 20, 8, 4, 16]]
    cells = ignored_cells([Crowd(1, CORNERS, triangle)], WHOLE, SIZE)
    assert cells[2:4, 1:5].tolist() == [[True, True, True, False], [True, False, False, False]]
    assert cells.sum() == 4


def test_a_flip_mirrors_a_region_and_its_box():
    crowd, flip = Crowd(1, CORNERS, None), View(SIZE, (0, 0, *SIZE), flipped=True, color_factors=None)
    cells = ignored_cells([crowd], flip, SIZE)
    assert cells.any(0).tolist() == [False] * 5 + [True] * 4 + [False]  # columns 20..35
    assert ignored_boxes([crowd], flip, SIZE).tolist() == [[20, 8, 36, 16]]


def test_a_crop_of_an_enlarged_image_shifts_a_region_and_drops_what_it_does_not_show():
    view = View((2 * HEIGHT, 2 * WIDTH), (8, 24, HEIGHT, WIDTH), flipped=False, color_factors=None)
    shown, beside = Crowd(1, CORNERS, None), Crowd(2, (0.0, 0.0, 10.0, 20.0), None)
    # Twice as large, the first covers x 8..40 and y 16..32, less 24 and 8: x 0..16 and y 8..24. The second ends at 20.
    cells = ignored_cells([shown, beside], view, SIZE)
    expected = torch.zeros(6, 10, dtype=torch.bool)
    expected[2:6, 0:4] = True
    assert torch.equal(cells, expected)
    assert ignored_boxes([shown, beside], view, SIZE).tolist() == [[0, 8, 16, 24]]


@pytest.mark.parametrize("flipped", [False, True])
def test_many_regions_are_the_union_of_each_alone(flipped):
    view = View((30, 50), (2, 6, 26, 41), flipped=flipped, color_factors=None)
    crowds = [
        Crowd(1, CORNERS, None),
        Crowd(2, (0.0, 0.0, 40.0, 24.0), encoding(blot(1))),
        Crowd(3, (0.0, 0.0, 40.0, 24.0), encoding(blot(2))),
        Crowd(4, (20.0, 2.0, 35.0, 20.0), [[20, 2, 35, 2, 35, 20], [21, 19, 24, 19, 24, 21]]),
    ]
    alone = torch.stack([ignored_cells([crowd], view, SIZE) for crowd in crowds])
    assert torch.equal(ignored_cells(crowds, view, SIZE), alone.any(0))
    pixels = apply_view(torch.from_numpy(blot(1).astype(np.uint8))[None], view)
    assert torch.equal(alone[1], sample_cell_centers(pixels)[0])
    assert len(set(alone.sum((1, 2)).tolist())) == 4


def test_regions_are_in_the_samples_of_a_training_that_ignores_them_and_in_no_others(write):
    root = write([annotation(1), annotation(2, bbox=[24, 0, 16, 8], iscrowd=1), annotation(3, 8)], image_ids=(7, 8))
    first, second = (training_set(root)[i].annotations for i in (0, 1))
    assert len(first.labels) == 1
    assert first.ignored.nonzero().tolist() == [[y, x] for y in (0, 1) for x in (6, 7, 8, 9)]
    assert first.ignored_boxes.tolist() == [[24, 0, 40, 8]]
    assert second.ignored is second.ignored_boxes is None
    for dataset in (training_set(root, "background"), load_validation_set(config(root, crowds="ignore"))):
        plain = dataset[0].annotations
        assert plain.ignored is plain.ignored_boxes is None
        for name in ("boxes", "labels", "has_mask", "masks", "mask_centroids"):
            assert torch.equal(getattr(plain, name), getattr(first, name))
        assert "Crowd(" not in str(dataset.records)  # nothing is kept that is not used


def test_a_region_that_a_view_does_not_show_is_none(write):
    root = write([annotation(1), annotation(2, bbox=[3, 0, 2, 8], ignore=1)])  # between the centers 2 and 6
    assert training_set(root)[0].annotations.ignored is None


def test_a_crowd_keeps_its_mask_in_an_image_without_masks(write):
    triangle = [[4, 8, 20, 8, 4, 16]]
    root = write([annotation(1, segmentation=RECTANGLE), annotation(2, segmentation=triangle, iscrowd=1)])
    annotations = training_set(root)[0].annotations
    assert annotations.has_mask.tolist() == [False]
    assert annotations.ignored.sum() == 4


def test_the_log_counts_the_crowds_of_the_images_in_use_and_says_what_they_are(write, caplog):
    crowds = [annotation(2, iscrowd=1), annotation(3, ignore=1), annotation(4, 8, iscrowd=1)]  # image 8 has no instance
    root = write([annotation(1), *crowds], image_ids=(7, 8))
    with caplog.at_level(logging.INFO):
        training_set(root)
        training_set(root, "background")
    found = [message.partition("instances_train.json: ")[2] for message in caplog.messages]
    assert found == [
        "2 crowd(s) are ignored, neither object nor background (data.crowds)",
        "2 crowd(s) are background (data.crowds)",
    ]
    caplog.clear()
    with caplog.at_level(logging.INFO):
        training_set(write([annotation(1)]))
    assert caplog.messages == []


def test_a_batch_pads_regions_with_false_and_survives_the_way_between_processes(write):
    root = write([annotation(1), annotation(2, bbox=[24, 0, 16, 24], iscrowd=1), annotation(3, 8)], image_ids=(7, 8))
    dataset = training_set(root)
    batch = unpacked(packed(collate([dataset[0], dataset[1]])))
    assert batch.images.shape[2:] == (32, 64)
    regions = batch.annotations[0].ignored
    assert regions.shape == (8, 16)
    assert torch.equal(regions[:6, :10], dataset[0].annotations.ignored)
    assert regions.sum() == dataset[0].annotations.ignored.sum() > 0
    assert batch.annotations[1].ignored is None
    assert torch.equal(batch.to("cpu").annotations[0].ignored_boxes, torch.tensor([[24.0, 0, 40, 24]]))


def test_the_default_is_the_released_behavior():
    assert DataConfig().crowds == "background"
    assert BOX == [4, 8, 16, 8]
