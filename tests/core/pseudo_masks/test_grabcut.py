"""GrabCut finds a disk by its color, fails honestly, and leaves true masks alone."""

from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.datasets.sources.shape_drawing import draw
from core.pseudo_masks import grabcut
from core.pseudo_masks.grabcut import (
    PSEUDO_MASKS,
    box_pixels,
    filled_box,
    grabcut_mask,
    grabcut_masks,
    with_pseudo_masks,
)
from tests.core.pseudo_masks.disks import (
    DISK_BOX,
    HEIGHT,
    IDENTITY,
    WIDTH,
    bent,
    data_set,
    decoded,
    disk,
    folder,
    iou,
    picture,
    write,
    xyxy,
)

__all__ = ["folder"]  # a fixture


def test_a_disk_of_another_color_is_cut_out_of_its_box() -> None:
    box = xyxy(DISK_BOX)
    mask = grabcut_mask(picture(), box, seed=1)
    assert iou(mask, disk()) > 0.95
    assert not (mask & ~filled_box(box, HEIGHT, WIDTH)).any()
    # The filled box is what it improves on: pi/4 of the box is disk.
    assert iou(filled_box(box, HEIGHT, WIDTH), disk()) < 0.82


def test_a_mask_depends_on_its_seed_and_on_no_cut_before_it() -> None:
    pixels, instances = draw(0, "train", 2, 160)  # textured: where the mixtures start matters
    rows, columns = np.nonzero(instances[0].mask)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=np.float64)
    masks = [grabcut_mask(pixels, box, seed=seed) for seed in (*range(4), *range(4))]
    assert all(np.array_equal(masks[seed], masks[seed + 4]) for seed in range(4))
    assert any(not np.array_equal(masks[0], mask) for mask in masks)


@pytest.mark.parametrize(
    ("box", "why"),
    [
        ([0, 0, WIDTH, HEIGHT], "no background"),
        ([0.2, 0, WIDTH - 0.4, HEIGHT], "no background once it is rounded"),
        ([20, 10, 3, 24], "three pixels wide"),
        ([20, 10, 24, 0.4], "no pixel high"),
    ],
)
def test_grabcut_gives_up_where_there_is_no_color_to_learn_from(box: list[float], why: str) -> None:
    assert grabcut_mask(picture(), xyxy(box), seed=1) is None


def test_grabcut_gives_up_where_nothing_is_foreground() -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    assert grabcut_mask(flat, xyxy(DISK_BOX), seed=1) is None


def test_a_box_is_rounded_to_pixels_and_keeps_at_least_one() -> None:
    # x 1.4 .. 3.6 -> columns 1, 2, 3; y 0.5 .. 2.5 -> rows 1, 2
    assert box_pixels(np.array([1.4, 0.5, 3.6, 2.5]), 10, 10) == (slice(1, 3), slice(1, 4))
    assert box_pixels(np.array([9.7, 9.7, 9.9, 10.0]), 10, 10) == (slice(9, 10), slice(9, 10))


def test_where_grabcut_fails_the_mask_is_the_filled_box_and_a_warning_counts_it(folder: Path, caplog) -> None:
    bent(folder / "instances.json", bbox=[20, 10, 2, 24])
    masks = grabcut_masks(data_set(folder))
    assert set(masks) == {70, 71, 90, 91}
    assert np.array_equal(decoded(masks[70]), filled_box(xyxy([20, 10, 2, 24]), HEIGHT, WIDTH))
    # The other box of both images shows the ground alone: whatever GrabCut makes of it, there is a mask.
    assert all(coco_mask.area(mask) > 0 for mask in masks.values())
    assert "of 4 instances: their mask is the filled box" in caplog.text


def test_each_mask_starts_from_its_annotation_id_which_may_exceed_a_seed(folder: Path, monkeypatch) -> None:
    bent(folder / "instances.json", id=2**31 + 5)  # ids of some exporters are as large
    seeds = []
    monkeypatch.setattr(grabcut, "grabcut_mask", lambda image, box, *, seed: seeds.append(seed))
    grabcut_masks(data_set(folder))
    assert sorted(seeds) == [5, 71, 90, 91]


def test_true_masks_are_left_and_each_pseudo_mask_is_the_one_it_would_be_anyway(folder: Path) -> None:
    all_masks = grabcut_masks(data_set(folder))
    half = data_set(folder, mask_ratio=0.5)
    (with_masks,) = (r.image_id for r in half.records if r.segmentations[0])
    masks = grabcut_masks(half)
    other = 16 - with_masks
    assert set(masks) == {10 * other, 10 * other + 1}
    assert all(masks[i] == all_masks[i] for i in masks)
    write(folder / PSEUDO_MASKS, half, masks, seconds=1.5)
    masked, seconds = with_pseudo_masks(half, folder / PSEUDO_MASKS, identity=IDENTITY)
    assert seconds == 1.5
    before, after = ({r.image_id: r.segmentations for r in d.records} for d in (half, masked))
    assert after[with_masks] == before[with_masks]
    assert np.array_equal(decoded(after[other][0]), decoded(masks[10 * other]))
    assert before[other] == (None, None)  # the data set given is not changed
