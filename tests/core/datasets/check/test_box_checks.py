"""Boxes that are probably wrong: corners, repeated ones, ones past the image."""

import pytest

from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.box_checks import (
    box_notes,
    corner_problem,
    corners,
    nearly_repeated,
    outside,
    past_the_image,
    repeated,
    repeated_problem,
)
from tests.core.datasets.conftest import annotation


@pytest.fixture
def read(write):
    """Reads a file with these boxes in image 7, 40 x 24 px; annotation ids count from 1."""

    def read_boxes(*boxes, **fields):
        root = write([annotation(i, bbox=list(box), **fields) for i, box in enumerate(boxes, 1)])
        return AnnotationFile.read(root / "instances_train.json", root / "train")

    return read_boxes


def ids(findings):
    return [finding.annotation_ids for finding in findings]


def test_corners_in_place_of_width_and_height_are_a_problem_that_says_how_to_convert(read):
    # as x, y, width, height the first keeps 20 x 14 of 30 x 20 px, the second 10 x 4 of 36 x 24; the third is the same
    # object either way
    file = read([20, 10, 30, 20], [30, 20, 36, 24], [0, 0, 12, 12])
    assert ids(corners(file)) == [(1,), (2,)]
    problem = corner_problem(file)
    assert "2 of 3 boxes end beyond their image as x, y, width, height, but fit it as x1, y1, x2, y2" in problem
    assert "annotations 1 (image 7); 2 (image 7)" in problem
    assert "write bbox as [x1, y1, x2 - x1, y2 - y1]" in problem


def test_loose_boxes_and_a_few_that_fit_as_corners_are_none(read):
    assert corner_problem(read([1, 1, 41, 24], [30, 4, 14, 8])) is None  # lose 9 %, and do not fit as corners
    sound = [[1 + i, 1, 8, 8] for i in range(10)]
    assert corner_problem(read([20, 10, 30, 20], *sound[:9])) is not None  # 1 of 10
    assert corner_problem(read([20, 10, 30, 20], *sound)) is None  # 1 of 11


def test_boxes_past_the_image_are_a_note_with_their_ids(read):
    file = read([30, 4, 12, 8], [30, 4, 12.1, 8], [-3, 4, 8, 8], [4, 4, 8, 8])
    assert ids(past_the_image(file)) == [(2,), (3,)]  # 2 px may be rounding
    (note,) = box_notes(file)
    expected = (
        "2 of 4 boxes extend past their image by more than 2 px and are clipped: annotations 2 (image 7); 3 (image 7)"
    )
    assert note == expected


def test_boxes_outside_are_found_although_no_record_has_them(read):
    file = read([50, 4, 8, 8], [4, 4, 8, 8], [4, 4, 0, 8])
    assert len(file.problems) == 1
    assert ids(outside(file)) == [(1,)]
    assert outside(read([4, 4, 8, 8], iscrowd=1)) == []


def test_repeated_boxes_are_a_problem_above_one_percent(read):
    sound = [[i % 30, i // 30, 8, 8] for i in range(99)]
    text, is_problem = repeated_problem(read(*sound, sound[0], sound[0]))
    assert text.startswith(
        "2 of 101 boxes repeat another of their class and image exactly: annotations 1 and 100 (image"
    )
    assert is_problem
    text, is_problem = repeated_problem(read(*sound, sound[0]))
    assert text.startswith("1 of 100 boxes")
    assert not is_problem
    assert repeated_problem(read(*sound)) is None


def test_equal_boxes_of_two_classes_or_images_are_not_repeated(write):
    boxes = [annotation(1), annotation(2, category_id=9), annotation(3, image_id=8)]
    root = write(boxes, image_ids=(7, 8))
    file = AnnotationFile.read(root / "instances_train.json", root / "train")
    assert repeated(file) == []
    assert ids(nearly_repeated(file)) == [(1, 2)]


def test_nearly_equal_boxes_are_a_note(read):
    # IoU 20 * 20 / (20 * 21) = 0.952, and 20 * 20 / (20 * 22) = 0.909
    file = read([0, 0, 20, 20], [0, 0, 21, 20], [0, 0, 22, 20])
    assert ids(nearly_repeated(file)) == [(1, 2), (2, 3)]  # 21 * 20 / (22 * 20) = 0.955
    (note,) = box_notes(file)
    assert note.startswith("2 pairs of boxes overlap by more than 95% (IoU); is each two objects? annotations 1 and 2")


def test_long_lists_are_cut(read):
    (note,) = box_notes(read(*[[30, y, 16, 4] for y in range(0, 21, 3)]))
    assert note.endswith("5 (image 7) and 2 more")


def test_a_file_without_boxes_has_no_flaw(read):
    file = read()
    assert (corner_problem(file), repeated_problem(file), box_notes(file), outside(file)) == (None, None, [], [])
