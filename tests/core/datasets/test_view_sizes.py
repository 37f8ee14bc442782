"""Sizes of boxes in the views of a training."""

import numpy as np
import pytest

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.view_sizes import box_sizes, largest_view, seen_line, share_under, view_sides
from tests.core.datasets.conftest import HEIGHT, WIDTH, annotation


@pytest.fixture
def records(write):
    boxes = ([4, 8, 16, 4], [0, 0, 16, 16], [0, 0, 40, 24])  # squares of the same area: 8, 16, 31 px
    root = write([annotation(i, bbox=list(box)) for i, box in enumerate(boxes)], image_ids=(7, 8))
    return AnnotationFile.read(root / "instances_train.json", root / "train").images


def test_sides_are_of_a_square_of_the_same_area_in_pixels_of_the_view(records):
    double = DataConfig(short_sides=(HEIGHT, 2 * HEIGHT), long_side_max=2 * WIDTH)
    assert view_sides(records, double) == pytest.approx([16, 32, 2 * np.sqrt(40 * 24)])
    half = double.model_copy(update={"long_side_max": WIDTH // 2})
    assert view_sides(records, half) == pytest.approx([4, 8, np.sqrt(40 * 24) / 2])


def test_width_and_height_are_scaled_as_the_image_is_in_its_largest_view_with_zoom_or_without(records):
    data = DataConfig(short_sides=(HEIGHT // 2, HEIGHT), long_side_max=WIDTH, scale_range=(0.5, 1.5))
    assert largest_view(records[0], data, zoomed=False) == (HEIGHT, WIDTH)
    view = largest_view(records[0], data, zoomed=True)
    assert view == (1.5 * HEIGHT, 1.5 * WIDTH)
    assert box_sizes(records[0], view).tolist() == [[24, 6], [24, 24], [60, 36]]


def test_the_line_counts_boxes_under_each_size(records):
    data = DataConfig(short_sides=(HEIGHT // 2,), long_side_max=WIDTH)
    expected = "  seen        1 under 8 px, 3 under 16 px, 3 under 32 px of 3, by the recipe own (longer side 40 px)"
    assert seen_line(records, data, "own") == expected


def test_without_boxes_there_is_nothing_small():
    assert view_sides([], DataConfig()).shape == (0,)
    assert share_under(np.zeros(0), 8.0) == 0
    assert share_under(np.array([7.9, 8, 9, 10]), 8.0) == 0.25
