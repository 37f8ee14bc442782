"""The photos of a data set: which are read, how often, and of what size they are held."""

from copy import copy

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2.functional import pil_to_tensor

from core.datasets.coco import CocoDataset, load_validation_set, read_training_file
from core.datasets.transforms import apply_view
from tests.core.datasets.conftest import HEIGHT, RECTANGLE, WIDTH, annotation
from tests.core.datasets.test_coco import config, training_set


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
