"""Boxes, masks and ignored regions of an image as they appear in its views."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from core.config import SupervisionConfig
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset, load_training_set, load_validation_set, read_training_file
from core.datasets.transforms import View
from core.structures import BACKGROUND
from tests.core.datasets.conftest import HEIGHT, RECTANGLE, WIDTH, annotation
from tests.core.datasets.test_coco import config, training_set


def test_a_rectangle_is_sampled_at_cell_centers_and_has_its_center_of_mass(write):
    annotations = training_set(write([annotation(segmentation=RECTANGLE)]))[0].annotations
    assert annotations.boxes.tolist() == [[4.0, 8.0, 20.0, 16.0]]
    # Cell centers lie at 2, 6, 10, ...: columns 6, 10, 14, 18 and rows 10, 14 are inside.
    expected = torch.zeros(1, 6, 10, dtype=torch.bool)
    expected[0, 2:4, 1:5] = True
    assert torch.equal(annotations.masks, expected)
    assert annotations.mask_centroids.tolist() == [[11.5, 11.5]]  # mean of 4..19 and of 8..15
    assert annotations.has_mask.tolist() == [True]


def test_all_three_forms_of_segmentation_give_the_same_mask(write):
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    pixels[8:16, 4:20] = 1
    compressed = coco_mask.encode(pixels)
    runs = [HEIGHT * 4 + 8] + [8, HEIGHT - 8] * 15 + [8, 8 + HEIGHT * 20]  # column by column: 0s, 1s, 0s, ...
    forms = [
        RECTANGLE,
        {"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()},
        {"size": [HEIGHT, WIDTH], "counts": runs},
    ]
    root = write([annotation(i, segmentation=form) for i, form in enumerate(forms)])
    for flip_probability in (0.0, 1.0):
        masks = training_set(root, flip_probability=flip_probability)[0].annotations.masks
        assert masks[0].any()
        assert torch.equal(masks[0], masks[1])
        assert torch.equal(masks[0], masks[2])


def test_a_flip_mirrors_pixels_box_mask_and_centroid(write):
    root = write([annotation(segmentation=RECTANGLE)])
    plain, flipped = training_set(root)[0], training_set(root, flip_probability=1.0)[0]
    assert torch.equal(flipped.image, plain.image.flip(2))
    assert flipped.annotations.boxes.tolist() == [[20.0, 8.0, 36.0, 16.0]]  # 40 - 20, 40 - 4
    # Columns 20..35; centers at 22, 26, 30, 34 are cells 5..8.
    assert flipped.annotations.masks[0].any(0).tolist() == [False] * 5 + [True] * 4 + [False]
    assert flipped.annotations.mask_centroids.tolist() == [[27.5, 11.5]]


def test_a_resize_scales_boxes_polygons_and_bottom_rows(write):
    root = write([annotation(segmentation=RECTANGLE)])
    sample = training_set(root, short_sides=(2 * HEIGHT,), ignored_bottom_rows=5)[0]
    assert sample.image.shape == (3, 48, 80)
    assert sample.original_size == (24, 40)
    assert sample.annotations.boxes.tolist() == [[8.0, 16.0, 40.0, 32.0]]
    assert sample.annotations.masks.sum() == 8 * 4  # 32 x 16 pixels, a cell for every 4 x 4
    assert sample.ignored_bottom_rows == 10


def test_crowds_are_never_annotations(write):
    crowd = annotation(2, iscrowd=1, segmentation={"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]})
    root = write([annotation(1), crowd, annotation(3, 8, iscrowd=1)], image_ids=(7, 8))
    data_set = training_set(root)
    assert data_set.image_ids == [7]  # image 8 shows a crowd and nothing else
    assert len(data_set[0].annotations.labels) == 1
    assert len(load_validation_set(config(root))[1].annotations.labels) == 0


@pytest.mark.parametrize("fields", [{}, {"segmentation": None}, {"segmentation": []}, {"segmentation": [[1, 1, 5, 5]]}])
def test_an_instance_without_segmentation_has_its_box_alone(write, fields):
    annotations = training_set(write([annotation(**fields)]))[0].annotations
    assert annotations.has_mask.tolist() == [False]
    assert not annotations.masks.any()
    assert annotations.mask_centroids.tolist() == [[12.0, 12.0]]  # center of the box 4 8 20 16


def test_an_image_may_mix_instances_with_and_without_masks(write):
    root = write([annotation(1), annotation(2, segmentation=RECTANGLE), annotation(3)])
    annotations = training_set(root)[0].annotations
    assert annotations.has_mask.tolist() == [False, True, False]
    assert annotations.masks.flatten(1).any(1).tolist() == [False, True, False]


def test_boxes_that_vanish_in_training_leave_an_empty_image(write):
    root = write([annotation(bbox=[4, 8, 1.5, 6], segmentation=RECTANGLE)])
    shrunk = training_set(root, short_sides=(HEIGHT // 2,))[0].annotations  # 0.75 px wide
    assert len(shrunk.labels) == 0
    assert len(load_validation_set(config(root, val_short_side=HEIGHT // 2))[0].annotations.labels) == 1


def test_a_box_of_one_pixel_is_a_training_target(write):
    root = write([annotation(1, bbox=[4, 8, 2, 6]), annotation(2, bbox=[4, 8, 1.9, 6])])
    assert training_set(root, short_sides=(HEIGHT // 2,))[0].annotations.boxes.tolist() == [[2, 4, 3, 7]]


def test_a_zoomed_crop_clips_boxes_and_keeps_the_size(write):
    root = write([annotation(segmentation=RECTANGLE)])
    data_set = training_set(root, scale_range=(1.5, 2.5))
    for epoch in range(20):
        data_set.set_epoch(epoch)
        sample = data_set[0]
        assert sample.image.shape == (3, HEIGHT, WIDTH)
        boxes = sample.annotations.boxes
        assert (boxes >= 0).all()
        assert (boxes[:, [0, 2]] <= WIDTH).all()
        assert (boxes[:, [1, 3]] <= HEIGHT).all()
        # The mask fills its box, whatever the view: cells whose centers lie in the box are those of the mask.
        x, y = torch.arange(2, WIDTH, 4), torch.arange(2, HEIGHT, 4)
        for (x1, y1, x2, y2), mask in zip(boxes, sample.annotations.masks, strict=True):
            inside = ((y >= y1) & (y < y2))[:, None] & ((x >= x1) & (x < x2))
            assert (inside ^ mask).sum() <= 10  # a border's worth: the rasterizer rounds to half a pixel


def test_polygons_and_encodings_agree_in_random_views(write):
    star = [[30, 2, 24, 9, 36, 12, 22, 14, 20, 22, 16, 14, 3, 15, 13, 10, 8, 3, 18, 7]]
    encoding = coco_mask.merge(coco_mask.frPyObjects(star, HEIGHT, WIDTH))
    run_lengths = {"size": encoding["size"], "counts": encoding["counts"].decode()}
    box = [3, 2, 33, 20]
    root = write([annotation(1, bbox=box, segmentation=star), annotation(2, bbox=box, segmentation=run_lengths)])
    data_set = training_set(root, short_sides=(96, 120, 144), flip_probability=0.5, scale_range=(0.7, 1.5))
    for epoch in range(10):
        data_set.set_epoch(epoch)
        polygon, encoded = data_set[0].annotations.masks
        assert (polygon & encoded).sum() > 0.8 * (polygon | encoded).sum()  # the encoding is blocky: up to 9 px a step


def test_semantic_labels_are_made_on_request_where_every_instance_has_a_mask(write):
    root = write(
        [annotation(segmentation=RECTANGLE), annotation(2, 8, segmentation=RECTANGLE), annotation(3, 8)], (7, 8)
    )
    whole, partly = load_training_set(config(root), SupervisionConfig(mask_ratio=1.0), seed=0, semantic_labels=True)
    # Rows 8..15 and columns 4..19 hold the cell centers (12, 4) and (12, 12) of 3 x 5 cells.
    dog, none = 0, BACKGROUND
    expected = [[none] * 5, [dog, dog, none, none, none], [none] * 5]
    assert whole.annotations.semantic_labels.tolist() == expected
    assert partly.annotations.semantic_labels is None
    assert training_set(root)[0].annotations.semantic_labels is None

    padded = collate([whole, partly]).to("cpu").annotations
    assert padded[0].semantic_labels.tolist() == [row + [none] * 3 for row in expected] + [[none] * 8]
    assert padded[1].semantic_labels is None


def test_a_view_without_instances_is_background_through_and_through(write):
    root = write([annotation(segmentation=RECTANGLE)])
    far = View((240, 400), (0, 0, 24, 40), flipped=False, color_factors=None)  # enlarged: the box is out of the window
    data_set = CocoDataset(
        read_training_file(config(root)), view_of=lambda *_: far, drop_vanished_boxes=True, semantic_labels=True,
    )  # fmt: skip
    labels = data_set[0].annotations.semantic_labels
    assert labels.shape == (3, 5)
    assert (labels == BACKGROUND).all()
