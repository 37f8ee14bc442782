from pathlib import Path

import pytest

from core.datasets.convert.formats import detect

LABELS = {
    "yolo": {"a.txt": "0 0.5 0.5 1 1"},
    "voc": {"a.xml": "<annotation/>"},
    "cvat": {"a.xml": "<annotations/>"},
    "labelme": {"a.json": {"shapes": [], "imagePath": ""}},
    "label-studio": {"a.json": [{"id": 1}]},
    "coco": {"a.json": {"images": [], "annotations": [], "categories": []}},
}


@pytest.mark.parametrize("name", LABELS)
def test_a_format_is_known_by_its_files(folder, name):
    given = folder(
        LABELS[name] | {"0.json": {"version": 1}, "0.xml": "<settings/>", "classes.txt": "", "README.txt": ""}
    )
    assert detect(given) == (name, Path(next(iter(LABELS[name]))))


def test_several_formats_are_left_to_the_user(folder):
    with pytest.raises(ValueError, match=r"several formats: voc \(a.xml\), yolo \(a.txt\); say which with --format"):
        detect(folder(LABELS["voc"] | LABELS["yolo"]))


def test_images_alone_have_none(folder):
    with pytest.raises(ValueError, match="found images, but no labels in a format that is read: yolo, voc, labelme"):
        detect(folder({"notes.txt": "0 0.5 0.5 1 1", "a.json": []}))
