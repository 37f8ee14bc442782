"""Photos that a data set has twice, and photos without boxes."""

from dataclasses import replace

import pytest

from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.photo_checks import content_note, empty_note, repeated_names, same_content, shared_content
from tests.core.datasets.conftest import HEIGHT, WIDTH, annotation


def read(root):
    return AnnotationFile.read(root / "instances_train.json", root / "train")


def entry(image_id, name):
    return {"id": image_id, "file_name": name, "width": WIDTH, "height": HEIGHT}


def test_a_photo_with_two_entries_is_named(write):
    file = read(write([annotation()], images=[entry(7, "7.png"), entry(8, "7.png"), entry(9, "7.png")]))
    (problem,) = repeated_names(file)
    assert problem == "images: file_name 7.png appears in 3 entries, expected one with all its annotations"
    assert same_content([file]) == []  # one file
    assert repeated_names(read(write([annotation()], image_ids=(7, 8)))) == []


def test_equal_bytes_under_two_names_are_noted_in_a_split(write):
    root = write([annotation()], image_ids=(7, 8, 9))
    assert content_note(read(root)) is None
    (root / "train" / "9.png").write_bytes((root / "train" / "7.png").read_bytes())
    assert content_note(read(root)) == (
        "1 photos have copies under other names, such as 7.png and 9.png; do their boxes agree?"
    )


@pytest.mark.parametrize(("count", "is_problem"), [(99, True), (100, False)])
def test_photos_in_both_splits_are_a_problem_above_one_percent(write, count, is_problem):
    train = read(write([annotation()], image_ids=tuple(range(count + 1))))
    copy = train.image_folder / "copy.png"
    copy.write_bytes((train.image_folder / "0.png").read_bytes())
    records = [replace(record, file_name=copy.name) if record.image_id == 0 else record for record in train.images]
    val = replace(train, images=records[:count])
    found = shared_content(replace(train, images=train.images[:1]), val)
    assert found is not None
    text, found_problem = found
    assert f": 1 of {count} photos are in the training set, too, such as copy.png, there 0.png" in text
    assert found_problem is is_problem
    assert shared_content(replace(train, images=train.images[1:2]), replace(val, images=records[2:3])) is None


def test_many_photos_without_a_box_are_questioned(write):
    ids = tuple(range(10))
    assert empty_note(read(write([annotation(i, i) for i in ids[:9]], image_ids=ids))) is None  # 10 %
    note = empty_note(read(write([annotation(i, i) for i in ids[:8]], image_ids=ids)))
    assert note.startswith("2 of 10 images have no box, such as 8.png; are they really empty?")
