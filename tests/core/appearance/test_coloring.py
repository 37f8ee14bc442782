"""Colors of objects and rings, in images whose LAB values are given."""

import numpy as np
import pytest

from core.appearance.coloring import color_modes, measure_coloring, ring


def square(size: int, low: int, high: int) -> np.ndarray:
    mask = np.zeros((size, size), dtype=bool)
    mask[low:high, low:high] = True
    return mask


def test_the_ring_has_the_width_of_its_share_of_the_object():
    # Area 400, side 20: the ring is 0.15 * 20 = 3 px wide, so it has 26 * 26 - 400 pixels.
    found = ring(square(40, 10, 30))
    assert found.sum() == 26**2 - 20**2
    assert [bool(found[place]) for place in ((7, 7), (6, 7), (10, 10))] == [True, False, False]


def test_the_ring_of_a_small_object_is_two_pixels_wide_and_ends_at_the_image():
    assert ring(square(10, 4, 6)).sum() == 6**2 - 2**2
    assert ring(square(10, 0, 2)).sum() == 4**2 - 2**2


def test_an_object_of_one_color_on_a_ground_of_another():
    mask = square(40, 10, 30)
    lab = np.where(mask[..., None], [50.0, 0, 0], [80.0, 0, 40])
    found = measure_coloring(lab, mask)
    assert found.contrast == pytest.approx(50)  # 30, 0, 40
    assert (found.spread, found.ring_spread) == (0, 0)
    assert (found.modes, found.shared) == (1, 0)


def test_halves_of_two_colors_are_two_modes_of_which_the_ground_has_one():
    mask = square(40, 10, 30)
    lab = np.tile([80.0, 0, 0], (40, 40, 1))
    lab[:20] = [50, 0, 0]  # object and ground alike
    found = measure_coloring(lab, mask)
    assert found.contrast == pytest.approx(0)
    assert found.spread == pytest.approx(15)
    assert (found.modes, found.shared) == (2, 1)


def test_a_mode_covers_colors_within_its_radius():
    line = np.stack([np.arange(0.0, 41), np.zeros(41), np.zeros(41)], axis=1)
    # The first found covers 21 of 41 colors, 20 or 10 on each side; 90 % take two such pieces.
    assert len(color_modes(line)) == 2
    assert len(color_modes(line * 0.5)) == 1
    assert len(color_modes(np.zeros((7, 3)))) == 1


def test_a_few_pixels_are_no_mode():
    colors = np.zeros((100, 3))
    colors[:9] = 99
    assert len(color_modes(colors)) == 1
    colors[:11] = 99
    assert len(color_modes(colors)) == 2


@pytest.mark.parametrize("mask", [np.zeros((8, 8), dtype=bool), np.ones((8, 8), dtype=bool)])
def test_without_object_or_ring_there_is_nothing_to_measure(mask):
    assert measure_coloring(np.zeros((8, 8, 3)), mask) is None
