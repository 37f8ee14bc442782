"""Classes with few boxes, or with boxes in one split alone."""

import pytest

from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.class_notes import class_line, class_notes
from tests.core.datasets.conftest import annotation


@pytest.fixture
def read(write):
    """Reads a file with this many boxes of the classes dog (3) and cat (9)."""

    def read_counts(dogs, cats):
        ids = [3] * dogs + [9] * cats
        root = write([annotation(i, category_id=category_id) for i, category_id in enumerate(ids)])
        return AnnotationFile.read(root / "instances_train.json", root / "train")

    return read_counts


def test_the_line_names_the_classes_with_their_boxes(read):
    assert class_line(read(2, 1)) == "2: dog (2 boxes), cat (1 boxes)"


def test_few_boxes_and_boxes_in_one_split_alone_are_noted(read):
    many = read(10, 10)
    assert class_notes(many, many) == []
    (few,) = class_notes(read(10, 9), many)
    assert few.endswith("instances_train.json: fewer than 10 boxes to learn from: cat (9)")
    (never,) = class_notes(read(10, 0), many)
    assert never.endswith("no box to learn from: cat (10 in validation)")
    (unmeasured,) = class_notes(many, read(0, 1))
    assert unmeasured.endswith("no box to measure AP on: dog")
    assert [note.rpartition(": ")[2] for note in class_notes(read(10, 0), read(1, 0))] == ["cat"]


def test_of_many_classes_the_first_are_named(write):
    categories = [{"id": i, "name": f"c{i}"} for i in range(30)]
    root = write([annotation(category_id=0)], categories=categories)
    file = AnnotationFile.read(root / "instances_train.json", root / "train")
    assert class_line(file).endswith(", c7 (0 boxes) and 22 more")
