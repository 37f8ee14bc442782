from itertools import pairwise

import numpy as np
import pytest

from core.config import SupervisionConfig
from core.datasets.annotation_file import ImageRecord
from core.datasets.supervision import first_phase, share_of_images, supervise

IDS = range(100, 300)
CATEGORIES = ["cat", "dog"]


def records(count: int) -> list[ImageRecord]:
    """Images 1, 2, ...: each with a cat and a dog, both with a mask."""
    return [
        ImageRecord(
            image_id=image_id,
            file_name=f"{image_id}.png",
            height=10,
            width=10,
            boxes=np.array([[0, 0, 4, 4], [5, 5, 9, 9]], dtype=np.float64),
            labels=np.array([0, 1]),
            annotation_ids=(10 * image_id, 10 * image_id + 1),
            segmentations=("cat mask", "dog mask"),
            num_flat_boxes=0,
            num_clipped_boxes=0,
        )
        for image_id in range(1, count + 1)
    ]


def chosen(seed: int = 0, **settings) -> list[ImageRecord]:
    return supervise(records(40), CATEGORIES, SupervisionConfig(**settings), seed)


def ids_with_masks(images: list[ImageRecord]) -> set[int]:
    return {image.image_id for image in images if any(image.segmentations)}


def test_subsets_are_nested_for_one_seed():
    subsets = [share_of_images(IDS, ratio, seed=3) for ratio in (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)]
    assert [len(subset) for subset in subsets] == [0, 2, 10, 20, 50, 100, 200]
    for smaller, larger in pairwise(subsets):
        assert smaller < larger


def test_a_share_is_the_nearest_number_of_images_and_half_of_one_is_one():
    # of 5 images: 0.49, 0.5, 1.45, 2.5 and 4.6
    assert [len(share_of_images(range(5), ratio, seed=0)) for ratio in (0.098, 0.1, 0.29, 0.5, 0.92)] == [0, 1, 1, 3, 5]


def test_seeds_choose_other_images():
    assert share_of_images(IDS, 0.25, seed=0) != share_of_images(IDS, 0.25, seed=1)


def test_the_order_of_the_images_does_not_matter():
    assert share_of_images(list(reversed(IDS)), 0.25, seed=0) == share_of_images(IDS, 0.25, seed=0)


def test_ids_of_64_bits_are_drawn_as_they_are():
    ids = [2, 4, 2**63 + 1, 2**63 + 3, 2**64 - 1]
    assert share_of_images(ids, 1.0, seed=0) == frozenset(ids)


@pytest.mark.parametrize("seed", range(3))
def test_the_draw_is_that_of_a_permutation_of_the_sorted_ids(seed):
    ids = sorted(np.random.default_rng(9).choice(10**6, 137, replace=False).tolist())
    shuffled = np.random.default_rng(seed).permutation(ids)
    assert share_of_images(ids, 0.3, seed) == frozenset(shuffled[:41].tolist())


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r"share of images is 1.5, expected a number between 0 and 1"):
        share_of_images(IDS, 1.5, seed=0)


def test_without_masks_nothing_of_a_segmentation_is_left():
    images = chosen(mask_ratio=0)
    assert len(images) == 40
    assert {image.segmentations for image in images} == {(None, None)}


def test_a_share_of_the_images_keeps_both_masks_and_all_keep_their_boxes():
    images = chosen(mask_ratio=0.25)
    assert len(images) == 40
    assert len(ids_with_masks(images)) == 10
    assert {image.segmentations for image in images} == {(None, None), ("cat mask", "dog mask")}
    assert all(len(image.boxes) == 2 for image in images)


def test_images_with_masks_are_among_the_images_used():
    images = chosen(mask_ratio=0.1, image_ratio=0.5)
    assert len(images) == 20
    assert len(ids_with_masks(images)) == 4
    assert [image.image_id for image in images] == sorted(image.image_id for image in images)  # in the file's order
    assert ids_with_masks(images) == ids_with_masks(chosen(mask_ratio=0.1))  # the same images whatever the others


def test_only_the_named_categories_keep_their_masks():
    assert {image.segmentations for image in chosen(mask_ratio=1, mask_categories=("dog",))} == {(None, "dog mask")}
    assert {image.segmentations for image in chosen(mask_ratio=1, mask_categories=())} == {(None, None)}


def test_an_unknown_category_is_named():
    with pytest.raises(
        ValueError, match=r"mask_categories: unknown classes \['bird'\], expected some of \['cat', 'dog'\]"
    ):
        chosen(mask_ratio=1, mask_categories=("bird", "cat"))


def test_where_boxes_come_first_all_images_show_boxes_and_then_those_with_masks_are_left():
    supervision = SupervisionConfig(mask_ratio=0.1, boxes_first=0.5)
    second = supervise(records(40), CATEGORIES, supervision, 0)
    first = supervise(records(40), CATEGORIES, first_phase(supervision), 0)
    assert len(second) == 4
    assert ids_with_masks(second) == {image.image_id for image in second}
    assert len(first) == 40
    assert not ids_with_masks(first)


def test_a_share_too_small_for_one_image_is_refused():
    with pytest.raises(ValueError, match=r"supervision.image_ratio is 0.01: 0 of 40 images"):
        chosen(image_ratio=0.01)
    with pytest.raises(ValueError, match=r"supervision.mask_ratio is 0.01: 0 of 40 images"):
        chosen(mask_ratio=0.01, boxes_first=0.5)
