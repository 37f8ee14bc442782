from itertools import pairwise

import pytest

from core.datasets.supervision import images_with_masks

IDS = range(100, 300)


def test_subsets_are_nested_for_one_seed():
    subsets = [images_with_masks(IDS, ratio, seed=3) for ratio in (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0)]
    assert [len(subset) for subset in subsets] == [0, 2, 10, 20, 50, 100, 200]
    for smaller, larger in pairwise(subsets):
        assert smaller < larger


def test_seeds_choose_other_images():
    assert images_with_masks(IDS, 0.25, seed=0) != images_with_masks(IDS, 0.25, seed=1)


def test_the_order_of_the_images_does_not_matter():
    assert images_with_masks(list(reversed(IDS)), 0.25, seed=0) == images_with_masks(IDS, 0.25, seed=0)


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r"mask_ratio is 1.5, expected a share between 0 and 1"):
        images_with_masks(IDS, 1.5, seed=0)
