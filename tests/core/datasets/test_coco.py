import pickle
from pathlib import Path

import pytest
import torch

from core.config import DataConfig, SupervisionConfig
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset, load_training_set, load_validation_set, read_training_file
from core.datasets.transforms import View
from tests.core.datasets.conftest import BOX, HEIGHT, RECTANGLE, WIDTH, annotation


def config(root: Path, **fields) -> DataConfig:
    default = {
        "train_images": "train",
        "train_annotations": "instances_train.json",
        "val_images": "train",
        "val_annotations": "instances_train.json",
        "short_sides": (HEIGHT,),
        "val_short_side": HEIGHT,
        "flip_probability": 0.0,
        "ignored_bottom_rows": 0,
    }
    return DataConfig(root=str(root), **default | fields)


def training_set(root: Path, *, mask_ratio: float = 1.0, **fields) -> CocoDataset:
    return load_training_set(config(root, **fields), SupervisionConfig(mask_ratio=mask_ratio), seed=0)


def test_labels_follow_the_category_ids_and_not_their_order_in_the_file(write):
    root = write([annotation(1, category_id=9), annotation(2, category_id=3)])
    data_set = training_set(root)
    assert data_set.categories == ["dog", "cat"]
    assert data_set.category_ids == [3, 9]
    assert data_set.num_classes == 2
    assert data_set[0].annotations.labels.tolist() == [1, 0]


def test_masks_of_box_only_images_are_never_read(write):
    unreadable = [annotation(i, i, segmentation={"counts": "no mask", "size": "none"}) for i in (7, 8)]
    root = write(unreadable, image_ids=(7, 8))
    data_set = training_set(root, mask_ratio=0.0)
    assert [sample.annotations.has_mask.tolist() for sample in data_set] == [[False], [False]]
    assert "no mask" not in str(vars(data_set))
    # With half of the images supervised, the one mask that is used is looked at, and no other.
    with pytest.raises(ValueError, match=r"1 problem.*\n  annotation (7|8) "):
        training_set(root, mask_ratio=0.5)


def test_an_empty_image_is_a_sample_without_annotations(write):
    root = write([annotation()], image_ids=(7, 8))
    assert training_set(root).image_ids == [7]
    empty = training_set(root, drop_images_without_boxes=False)[1].annotations
    assert empty.boxes.shape == (0, 4)
    assert empty.masks.shape == (0, HEIGHT // 4, WIDTH // 4)
    assert empty.mask_centroids.shape == (0, 2)


def test_a_batch_pads_images_with_zeros_and_masks_with_false(write):
    root = write([annotation(1, 7, segmentation=RECTANGLE), annotation(2, 8)], image_ids=(7, 8))
    rows = {"ignored_bottom_rows": 4}
    batch = collate([training_set(root, **rows)[0], training_set(root, short_sides=(30,), **rows)[1]])
    assert batch.images.shape == (2, 3, 32, 64)  # 24 x 40 and 30 x 50, up to multiples of 32
    assert batch.image_sizes == [(24, 40), (30, 50)]
    assert batch.image_ids == [7, 8]
    assert batch.ignored_bottom_rows == [4, 5]
    assert not batch.images[0, :, 24:].any()
    assert not batch.images[0, :, :, 40:].any()
    assert [tuple(a.masks.shape) for a in batch.annotations] == [(1, 8, 16), (1, 8, 16)]
    assert batch.annotations[0].masks.sum() == 8  # 4 x 2 cells, as without padding


def test_the_same_epoch_and_index_give_the_same_sample_in_any_worker(write):
    root = write([annotation(i, i, segmentation=RECTANGLE) for i in (7, 8)], image_ids=(7, 8))
    settings = {"flip_probability": 0.5, "color_jitter": 0.3, "scale_range": (0.5, 2.0)}
    data_set = training_set(root, **settings)
    elsewhere = pickle.loads(pickle.dumps(training_set(root, **settings)))  # as a spawned worker gets it
    for epoch in (3, 0, 3):
        torch.manual_seed(epoch * 17)  # the global generator plays no part
        for one in (data_set, elsewhere):
            one.set_epoch(epoch)
        for index in (1, 0):
            first, second = data_set[index], elsewhere[index]
            assert torch.equal(first.image, second.image)
            assert torch.equal(first.annotations.boxes, second.annotations.boxes)
            assert torch.equal(first.annotations.masks, second.annotations.masks)


def test_epochs_differ(write):
    data_set = training_set(write([annotation()]), scale_range=(0.5, 2.0), color_jitter=0.3)
    before = data_set[0].image
    data_set.set_epoch(1)
    assert before.shape != data_set[0].image.shape or not torch.equal(before, data_set[0].image)


def test_boxes_without_area_are_left_out_with_one_warning(write, caplog):
    root = write([annotation(1), annotation(2, bbox=[4, 8, 0, 8]), annotation(3, bbox=[4, 8, 3, 0])])
    assert len(training_set(root)[0].annotations.labels) == 1
    assert caplog.messages == [f"{root}/instances_train.json: 2 box(es) of width or height 0 are left out"]


def test_boxes_that_reach_far_past_the_image_are_clipped_with_one_warning(write, caplog):
    corners = [30, 8, 38, 20]  # x1, y1, x2, y2 where x, y, width, height belong
    root = write([annotation(1), annotation(2, bbox=corners), annotation(3, bbox=[30, 8, WIDTH - 30 + 1, 4])])
    assert training_set(root)[0].annotations.boxes[1].tolist() == [30, 8, WIDTH, HEIGHT]
    assert len(caplog.messages) == 1
    assert "1 box(es) extend past their image and are clipped; check that boxes are x, y, width" in caplog.messages[0]


def test_a_training_set_without_any_box_is_an_error(write):
    with pytest.raises(ValueError, match=r"1 images, none of them with a box"):
        training_set(write([]))


def test_a_validation_set_without_any_image_is_an_error_that_does_not_speak_of_boxes(write):
    with pytest.raises(ValueError, match=r"instances_train.json: 0 images, expected at least one$"):
        load_validation_set(config(write([], image_ids=())))


def test_a_malformed_mask_that_would_be_used_is_an_error(write):
    encoding = {"size": [10, 10], "counts": [100]}
    with pytest.raises(ValueError, match=r"annotation 1 .*size \[10, 10\], expected \[24, 40\]"):
        training_set(write([annotation(segmentation=encoding)]))


def test_a_validation_set_keeps_every_image_and_all_masks(write):
    root = write([annotation(segmentation=RECTANGLE, bbox=BOX)], image_ids=(7, 8))
    data_set = load_validation_set(config(root, ignored_bottom_rows=5))
    assert data_set.image_ids == [7, 8]
    assert data_set[1].ignored_bottom_rows == 5
    assert data_set[0].annotations.has_mask.tolist() == [True]
    assert data_set.annotation_path == root / "instances_train.json"


def test_of_fewer_images_some_come_again_in_an_epoch_in_other_views_and_all_equally_often(write):
    root = write([annotation(i, image_id=i) for i in range(1, 6)], tuple(range(1, 6)))
    data_set = load_training_set(config(root, flip_probability=0.5), SupervisionConfig(image_ratio=0.4), seed=0)
    assert len(data_set) == 5
    assert len(data_set.image_ids) == 2
    drawn, flipped = [], set()
    for epoch in range(4):
        data_set.set_epoch(epoch)
        samples = list(data_set)
        drawn += [sample.image_id for sample in samples]
        flipped |= {(sample.image_id, sample.annotations.boxes[0, 0].item()) for sample in samples}
    assert sorted(drawn.count(image_id) for image_id in data_set.image_ids) == [10, 10]
    assert len(flipped) == 4  # both images, as they are and mirrored


def test_a_view_is_asked_for_by_epoch_and_index_whichever_image_comes(write):
    asked_for = []

    def view_of(height: int, width: int, epoch: int, index: int) -> View:
        asked_for.append((epoch, index))
        return View((height, width), (0, 0, height, width), flipped=False, color_factors=None)

    file = read_training_file(config(write([annotation(i, i) for i in (7, 8, 9)], image_ids=(7, 8, 9))))
    data_set = CocoDataset(file, view_of=view_of, choose=lambda records, categories: records[:2])
    data_set.set_epoch(1)
    assert [sample.image_id for sample in data_set] == [8, 7, 8]  # epoch 0 showed 7, 8, 7
    assert asked_for == [(1, 0), (1, 1), (1, 2)]


def test_the_seed_decides_the_views_and_which_images_have_masks(write):
    ids = tuple(range(1, 9))
    root = write([annotation(i, i, segmentation=RECTANGLE) for i in ids], ids)
    settings = config(root, flip_probability=0.5, scale_range=(0.5, 2.0)), SupervisionConfig(mask_ratio=0.5)
    first, same, other = (load_training_set(*settings, seed=seed) for seed in (0, 0, 1))
    pixels = [[sample.image for sample in data_set] for data_set in (first, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(pixels[0], pixels[1], strict=True))
    assert not any(a.shape == b.shape and torch.equal(a, b) for a, b in zip(pixels[0], pixels[2], strict=True))
    masked = [[r.image_id for r in data_set.records if r.segmentations[0]] for data_set in (first, same, other)]
    assert masked[0] == masked[1] != masked[2]
