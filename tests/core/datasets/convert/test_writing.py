import json
import os
from pathlib import Path

import pytest
from PIL import Image

from core.datasets.convert.labeled import LabeledImage, LabeledObject
from core.datasets.convert.writing import require_new, write_data_set


@pytest.fixture
def source(tmp_path) -> Path:
    for name in ("set/train/a.png", "set/val/a.png"):
        (tmp_path / "given" / name).parent.mkdir(parents=True)
        Image.new("RGB", (40, 24)).save(tmp_path / "given" / name)
    return tmp_path / "given"


def splits(*objects: LabeledObject) -> dict[str, list[LabeledImage]]:
    return {
        split: [LabeledImage(Path(f"set/{split}/a.png"), 40, 24, list(objects), Path("x"), split)]
        for split in ("train", "val")
    }


def test_ids_classes_and_measures(source, tmp_path):
    square = LabeledObject("dog", (0, 0, 4, 4), [[0, 0, 4, 0, 4, 4, 0, 4]])
    crowd = LabeledObject("cat", (1.5, 2, 3, 4), crowd=True)
    files = write_data_set(tmp_path / "own", source, splits(square, crowd), ["dog", "cat"])
    content = json.loads((tmp_path / "own/instances_val.json").read_text())
    assert content == files["val"].content
    assert content == {
        "images": [{"id": 2, "file_name": "val/a.png", "width": 40, "height": 24}],
        "annotations": [
            {
                "id": 3, "image_id": 2, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0,
                "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]],
            },
            {"id": 4, "image_id": 2, "category_id": 2, "bbox": [1.5, 2, 1.5, 2], "area": 3, "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }  # fmt: skip
    assert files["val"].image_folder == tmp_path / "own/images"
    assert sorted(os.listdir(tmp_path)) == ["given", "own"]


def test_images_are_links_where_the_disk_has_them(source, tmp_path, monkeypatch):
    write_data_set(tmp_path / "linked", source, splits(), ["dog"])
    assert os.path.samefile(source / "set/train/a.png", tmp_path / "linked/images/train/a.png")

    def refused(*_):
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refused)
    write_data_set(tmp_path / "copied", source, splits(), ["dog"])
    copy = tmp_path / "copied/images/train/a.png"
    assert copy.read_bytes() == (source / "set/train/a.png").read_bytes()
    assert not os.path.samefile(source / "set/train/a.png", copy)


def test_a_symbolic_link_is_followed(source, tmp_path):
    (source / "set/train/a.png").rename(tmp_path / "photo.png")
    os.symlink(tmp_path / "photo.png", source / "set/train/a.png")
    write_data_set(tmp_path / "own", source, splits(), ["dog"])
    assert not (tmp_path / "own/images/train/a.png").is_symlink()
    assert os.path.samefile(tmp_path / "photo.png", tmp_path / "own/images/train/a.png")


def test_nothing_is_left_of_a_data_set_with_a_problem(source, tmp_path):
    with pytest.raises(ValueError, match=r"(?s)own/instances_train\.json: .*name is 'dog' as that of id 1"):
        write_data_set(tmp_path / "own", source, splits(), ["dog", "dog"])
    assert os.listdir(tmp_path) == ["given"]


def test_nothing_is_overwritten_and_nothing_written_into_the_source(source, tmp_path):
    require_new(tmp_path / "own", source)
    (tmp_path / "own").mkdir()
    require_new(tmp_path / "own", source)
    write_data_set(tmp_path / "own", source, splits(), ["dog"])
    for there in (tmp_path / "own", tmp_path / "own/instances_val.json"):
        with pytest.raises(
            ValueError, match="is there already, expected a new or an empty folder; nothing was written"
        ):
            require_new(there, source)
    with pytest.raises(ValueError, match=r"is inside of .*given, expected a folder outside of it"):
        require_new(source / "own", source)
