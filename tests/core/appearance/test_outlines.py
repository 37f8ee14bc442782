"""Sizes, fill and overlap of objects on a grid that can be checked by eye."""

import numpy as np
import pytest

from core.appearance.outlines import measure_outlines


def masks_of(*pictures: str) -> np.ndarray:
    """Masks from rows of `#` and `.`."""
    return np.array([[[letter == "#" for letter in row] for row in picture.split()] for picture in pictures])


def test_a_diagonal_fills_half_of_its_box_and_the_corner_of_another_lies_in_it():
    masks = masks_of(
        """
        #...
        ##..
        ....
        ....""",
        """
        .#..
        ..##
        ....
        ....""",
    )
    found = measure_outlines(masks, np.array([[0.0, 0, 2, 2], [1, 0, 4, 2]]))
    assert found.size == pytest.approx([(3 / 16) ** 0.5] * 2)
    assert found.box_side == pytest.approx([(4 / 16) ** 0.5, (6 / 16) ** 0.5])
    assert found.fill == pytest.approx([3 / 4, 3 / 6])
    # The boxes share the column x = 1: 2 of 4 pixels, 2 of 6.
    assert found.boxes_over == pytest.approx([2 / 4, 2 / 6])
    # Pixel (1, 0) of the second lies in the first box and pixel (1, 1) of the first in the second box.
    assert found.masks_beside == pytest.approx([1 / 4, 1 / 6])
    assert found.masks_over == pytest.approx([0, 0])


def test_masks_that_lie_on_each_other_are_over_and_not_beside():
    masks = masks_of("##.. ##..", "#... ....")
    found = measure_outlines(masks, np.array([[0.0, 0, 2, 2], [0, 0, 1, 1]]))
    assert found.masks_over == pytest.approx([1 / 4, 1])
    assert found.masks_beside == pytest.approx([0, 0])


def test_an_object_alone_overlaps_nothing():
    found = measure_outlines(np.ones((1, 4, 4), dtype=bool), np.array([[0.0, 0, 4, 4]]))
    for shares, expected in ((found.fill, 1), (found.size, 1), (found.boxes_over, 0), (found.masks_beside, 0)):
        assert shares == pytest.approx([expected])


def test_a_box_between_pixel_centers_counts_as_one_pixel():
    found = measure_outlines(np.zeros((1, 4, 4), dtype=bool), np.array([[0.6, 0.6, 0.9, 0.9]]))
    assert found.box_side == pytest.approx([1 / 4])
    assert found.fill == pytest.approx([0])
