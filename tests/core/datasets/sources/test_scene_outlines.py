"""Outlines of scenes and the pixels inside them, against polygons worked by hand and a plain rule."""

import math

import numpy as np
import pytest

from core.datasets.sources.scene_outlines import blobs, cosine, object_outline, pixels_inside, placed
from core.datasets.sources.shape_drawing import CLASSES


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def is_inside(x: float, y: float, vertices: np.ndarray) -> bool:
    """Even-odd rule, side by side."""
    inside = False
    for (ax, ay), (bx, by) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        if (ay > y) != (by > y) and x >= ax + (y - ay) * (bx - ax) / (by - ay):
            inside = not inside
    return inside


def test_pixels_inside_a_rectangle_are_those_with_their_center_in_it():
    # 10 px wide: x from 1.6 to 4.4 contains the centers 2.5 and 3.5, y from 0 to 2 the centers 0.5 and 1.5.
    window, inside = pixels_inside(np.array([(0.16, 0.0), (0.44, 0.0), (0.44, 0.2), (0.16, 0.2)]), 10)
    image = np.zeros((10, 10), dtype=bool)
    image[window] = inside
    assert np.argwhere(image).tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


@pytest.mark.parametrize("name", CLASSES)
def test_pixels_inside_an_outline_follow_the_even_odd_rule(name):
    size = 24
    vertices = placed(object_outline(rng(), name), np.array([0.45, 0.9]), 0.4, 0.6, 0.13)  # partly below the image
    window, inside = pixels_inside(vertices, size)
    found = np.zeros((size, size), dtype=bool)
    found[window] = inside
    expected = [[is_inside(x + 0.5, y + 0.5, vertices * size) for x in range(size)] for y in range(size)]
    assert found.any()
    assert np.array_equal(found, expected)


def test_an_outline_beside_the_image_has_no_pixel():
    for x, y in ((-1, 0.5), (2, 0.5), (0.5, -1), (0.5, 2)):
        _, inside = pixels_inside(np.array([(x, y), (x + 0.2, y), (x, y + 0.2)]), 20)
        assert not inside.any()


def test_placing_squeezes_without_change_of_area_then_turns():
    square = np.array([(1.0, 1.0), (-1, 1), (-1, -1), (1, -1)])
    wide = placed(square, np.zeros(2), 1.0, 0.25, 0.0)
    assert wide[0] == pytest.approx([2, 0.5])  # 1 / sqrt(0.25) and sqrt(0.25)
    high = placed(square, np.array([3.0, 4.0]), 1.0, 0.25, 0.25)
    assert high[0] == pytest.approx([3 - 0.5, 4 + 2])  # (2, 0.5) turned by a quarter


def test_outlines_are_about_within_the_unit_circle_and_differ():
    for name in CLASSES:
        one, other = object_outline(rng(1), name), object_outline(rng(2), name)
        assert len(one) == len(other) == 60
        assert not np.allclose(one, other)
        assert np.sqrt((one**2).sum(1)).max() < 1.75  # a corner of a square of half width 1, with waves
    assert blobs(rng(), 7).shape == (7, 16, 2)
    assert np.sqrt((blobs(rng(), 200) ** 2).sum(-1)).max() < 1.75


def test_the_cosine_is_that_of_the_nearest_of_720_turns():
    assert cosine(np.array([0.0, 0.25, 0.5, 1.0, -0.25])).tolist() == [1, 0, -1, 1, 0]
    for turn in (0.1, 0.37, 0.9):
        assert float(cosine(np.array([turn]))[0]) == pytest.approx(math.cos(2 * math.pi * turn), abs=math.pi / 720)
