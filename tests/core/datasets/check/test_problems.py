"""What is a problem of a data set, and what a note."""

from dataclasses import replace

import numpy as np

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.problems import (
    notes,
    pair_problems,
    silent_problems,
    split_problems,
    suspects,
    training_problems,
    validation_problems,
)
from tests.core.datasets.conftest import RECTANGLE, annotation

DATA = DataConfig(short_sides=(24,), long_side_max=40, val_short_side=24)


def read(root):
    return AnnotationFile.read(root / "instances_train.json", root / "train")


def test_broken_images_and_all_broken_masks_are_problems(write):
    root = write([annotation(1, segmentation="none"), annotation(2, 8, bbox=[0, 0, -1, 3])], image_ids=(7, 8))
    (root / "train" / "8.png").write_bytes((root / "train" / "8.png").read_bytes()[:200])  # a broken download
    problems = split_problems(read(root))
    assert len(problems) == 3
    assert problems[0].startswith("annotation 2 (image 8): bbox is")
    assert problems[1].startswith("annotation 1 (image 7): segmentation is 'none'")
    assert "8.png: cannot be read as an image" in problems[2]


def test_splits_must_agree_on_categories_and_share_no_image(write):
    train = read(write([annotation()]))
    assert pair_problems(train, replace(train, image_folder=train.image_folder.parent)) == []
    (shared,) = pair_problems(train, train)
    assert "1 images are in both splits, such as 7.png" in shared
    val = replace(train, images=[], category_ids=[3], categories=["wolf"])
    (other,) = pair_problems(train, val)
    assert "categories are {3: 'wolf'}, expected those of" in other


def test_classes_must_agree_in_name_and_order_whatever_their_ids(write):
    train = read(write([annotation()]))
    val = replace(train, category_ids=[1, 2], image_folder=train.image_folder.parent)
    assert pair_problems(train, val) == []


def test_photos_of_equal_content_in_both_splits_are_a_problem(write):
    root = write([annotation()], image_ids=(7, 8))
    train = read(root)
    (root / "val").mkdir()
    for record in train.images:
        (root / "val" / record.file_name).write_bytes((root / "train" / record.file_name).read_bytes())
    (shared,) = pair_problems(train, replace(train, image_folder=root / "val"))
    assert "2 of 2 photos are in the training set, too, such as 7.png, there 7.png" in shared


def test_what_a_training_would_silently_learn_wrong_is_a_problem(write):
    corners = read(write([annotation(1, bbox=[20, 10, 30, 20]), annotation(2, bbox=[10, 8, 40, 24])]))
    twice = read(write([annotation(1), annotation(2)]))
    listed = read(write([annotation()], images=[twice.content["images"][0] | {"id": i} for i in (7, 8)]))
    for file, expected in (
        (corners, "2 of 2 boxes end beyond their image as x, y, width, height, but fit it as x1, y1, x2, y2"),
        (twice, "1 of 2 boxes repeat another of their class and image exactly"),
        (listed, "images: file_name 7.png appears in 2 entries"),
    ):
        (problem,) = silent_problems(file)
        assert problem.startswith(expected)
        assert training_problems(file) == validation_problems(file) == []


def test_a_set_as_large_public_ones_are_has_notes_alone(write):
    """A crowd, flat boxes, a repeated box, a copied photo, a loose box, a photo without boxes."""
    ids = tuple(range(100, 250))
    boxes = [annotation(i, i) for i in ids[:120]]
    boxes += [annotation(1, 100), annotation(2, 101, iscrowd=1), annotation(3, 102, bbox=[4, 4, 0, 8])]
    boxes += [annotation(4, 103, bbox=[30, 4, 13, 8])]
    root = write(boxes, image_ids=ids)
    (root / "train" / "101.png").write_bytes((root / "train" / "100.png").read_bytes())
    file = read(root)
    assert training_problems(file) == silent_problems(file) == []
    found = [note.removeprefix(f"{file.path}: ") for note in notes(file, file, DATA, "own")]
    for expected in (
        "1 of 122 boxes repeat another",
        "1 of 122 boxes extend past their image",
        "1 photos have copies under other names",
        "30 of 150 images have no box",
    ):
        assert sum(note.startswith(expected) for note in found) == 2, expected  # once for each split


def test_boxes_without_masks_are_one_note(write):
    without = read(write([annotation(1), annotation(2, bbox=[1, 1, 9, 9], segmentation=RECTANGLE)]))
    (note,) = [note for note in notes(without, without, DATA, "own") if note.startswith("boxes without a mask")]
    assert note.partition(";")[0].endswith("suffice to train: 1 of instances_train.json, 1 of instances_train.json")
    complete = read(write([annotation(1, segmentation=RECTANGLE)]))
    assert not any(note.startswith("boxes without a mask") for note in notes(complete, complete, DATA, "own"))


def test_masks_beside_their_box_are_a_note(write):
    beside = [[20, 12, 26, 12, 26, 18, 20, 18]]
    good = annotation(2, bbox=[20, 12, 6, 6], segmentation=beside)
    file = read(write([annotation(1, bbox=[1, 1, 6, 6], segmentation=beside), good]))
    found = [note for note in notes(file, file, DATA, "own") if "beside their box" in note]
    assert len(found) == 2  # once for each split
    assert f"{file.path}: 1 masks beside their box, such as annotation 1 (image 7): 0 of the" in found[0]


def test_the_worst_suspects_come_first(write):
    file = read(
        write(
            [
                annotation(1, bbox=[1, 1, 7, 7]),
                annotation(2, bbox=[1, 1, 6, 6]),
                annotation(3, bbox=[60, 1, 9, 9]),
                annotation(4),
                annotation(5),
                annotation(6, bbox=[38, 1, 9, 9]),
            ]
        )
    )
    found = [(finding.flaw, finding.annotation_ids) for finding in suspects(file, DATA)]
    assert found == [
        ("outside of the photo", (3,)),
        ("drawn twice", (4, 5)),
        ("past the photo", (6,)),
        ("under 8 px", (6,)),  # 2 x 9 px are left
        ("under 8 px", (2,)),
        ("under 8 px", (1,)),
    ]
    assert all(type(finding.image_id) is int for finding in suspects(file, DATA))
    assert np.shape(list(suspects(read(write([])), DATA))) == (0,)
