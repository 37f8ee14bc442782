import pickle
from copy import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from torchvision.transforms.v2.functional import pil_to_tensor

from core.config import DataConfig, SupervisionConfig
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset, load_training_set, load_validation_set, read_training_file
from core.datasets.transforms import View, apply_view
from core.structures import BACKGROUND
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


def test_labels_follow_the_category_ids_and_not_their_order_in_the_file(write):
    root = write([annotation(1, category_id=9), annotation(2, category_id=3)])
    data_set = training_set(root)
    assert data_set.categories == ["dog", "cat"]
    assert data_set.category_ids == [3, 9]
    assert data_set.num_classes == 2
    assert data_set[0].annotations.labels.tolist() == [1, 0]


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


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "LA"])
def test_images_of_any_mode_become_rgb(write, mode):
    root = write([annotation()])
    Image.new("RGB", (WIDTH, HEIGHT), (153, 153, 153)).convert(mode).save(root / "train" / "7.png")
    assert training_set(root)[0].image.unique().tolist() == [153]


@pytest.mark.parametrize("fields", [{"short_sides": (12,)}, {"short_sides": (12,), "color_jitter": 0.3}])
def test_a_small_data_set_is_read_from_its_files_once(write, monkeypatch, fields):
    root = write([annotation()])
    kept = training_set(root, **fields)
    monkeypatch.setattr("core.datasets.image_cache.mmap.mmap", refuse_memory)
    read_again = training_set(root, **fields)
    first = kept[0].image
    assert torch.equal(read_again[0].image, first)
    (root / "train" / "7.png").unlink()
    assert torch.equal(kept[0].image, first)  # nothing was done to the kept one
    with pytest.raises(ValueError, match=r"7\.png: cannot be read"):
        read_again[0]


def refuse_memory(*given: object) -> None:
    raise OSError(12, "Cannot allocate memory")


def test_a_large_photo_is_reduced_to_its_largest_view_from_which_the_others_are_resized(write):
    root = write([annotation()])
    photo = Image.open(root / "train" / "7.png")
    data_set = training_set(root, short_sides=(9, 6), scale_range=(0.5, 1.5))
    reduced = photo.resize((23, 14), Image.Resampling.BILINEAR)  # 15 x 9 px, enlarged by 1.5 and rounded half up
    seen = set()
    for epoch in range(8):
        data_set.set_epoch(epoch)
        view = data_set.view_of(HEIGHT, WIDTH, epoch, 0)
        seen.add(view.resized)
        assert torch.equal(data_set[0].image, pil_to_tensor(apply_view(reduced, view)))
    assert len(seen) > 4


@pytest.mark.parametrize("short_side", [12, HEIGHT, 40])
def test_where_all_views_have_one_size_they_are_resized_from_the_photo_itself(write, short_side):
    root = write([annotation()], image_ids=(7, 8))
    photo = Image.open(root / "train" / "7.png")
    width = short_side * WIDTH // HEIGHT if short_side != 40 else 67  # 66.7
    expected = pil_to_tensor(photo.resize((width, short_side), Image.Resampling.BILINEAR))
    assert torch.equal(training_set(root, short_sides=(short_side,))[0].image, expected)
    assert torch.equal(load_validation_set(config(root, val_short_side=short_side))[0].image, expected)


def test_the_reduction_moves_no_box_and_no_mask(write):
    root = write([annotation(segmentation=RECTANGLE)])
    data_set = training_set(root, short_sides=(17, 13), long_side_max=23, scale_range=(0.5, 1.2))
    from_file = CocoDataset(
        read_training_file(config(root)), view_of=data_set.view_of, choose=lambda *_: data_set.records
    )
    for epoch in range(5):
        for one in (data_set, from_file):
            one.set_epoch(epoch)
        ours, theirs = data_set[0], from_file[0]
        assert ours.image.shape == theirs.image.shape
        assert torch.equal(ours.annotations.boxes, theirs.annotations.boxes)
        assert torch.equal(ours.annotations.masks, theirs.annotations.masks)
        assert ours.original_size == (HEIGHT, WIDTH)


def test_the_photo_that_is_drawn_on_is_the_one_of_the_file(write):
    root = write([annotation()])
    data_set = training_set(root, short_sides=(12,))
    assert data_set[0].image.shape == (3, 12, 20)
    assert np.array_equal(data_set.load_image(0), Image.open(root / "train" / "7.png"))


def test_a_data_set_of_other_records_finds_its_images_by_their_ids(write):
    data_set = training_set(write([annotation(i, i) for i in (7, 8, 9)], image_ids=(7, 8, 9)))
    whole = list(data_set)
    share = copy(data_set)
    share.records = data_set.records[1:]
    assert torch.equal(share[0].image, whole[1].image)


def test_exif_orientation_counts_only_where_the_annotated_size_asks_for_it(write):
    root = write([annotation()])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    path = root / "train" / "7.png"
    stored = Image.open(path)
    stored.save(path, exif=exif)
    assert np.array_equal(training_set(root).load_image(0), stored)
    turned = stored.transpose(Image.Transpose.ROTATE_90)
    turned.save(path, exif=exif)  # 24 wide and 40 high as stored, 40 x 24 as shown
    assert np.array_equal(training_set(root).load_image(0), stored)


def test_an_image_of_another_size_is_an_error_that_names_both_sizes(write):
    root = write([annotation()])
    Image.new("RGB", (41, 24)).save(root / "train" / "7.png")
    with pytest.raises(ValueError, match=r"7.png: is 41 x 24 pixels, its annotations say 40 x 24"):
        training_set(root)[0]


def test_a_file_that_is_no_image_is_an_error_that_names_it(write):
    root = write([annotation()])
    (root / "train" / "7.png").write_text("not an image")
    with pytest.raises(ValueError, match=r"7.png: cannot be read as an image"):
        training_set(root)[0]


def test_images_may_lie_in_sub_folders(write):
    root = write([annotation()], images=[{"id": 7, "file_name": "a/b.png", "width": WIDTH, "height": HEIGHT}])
    (root / "train" / "a").mkdir()
    (root / "train" / "7.png").rename(root / "train" / "a" / "b.png")
    assert training_set(root)[0].image.shape == (3, HEIGHT, WIDTH)


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
