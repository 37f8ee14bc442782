"""Generated data sets are written whole, in COCO format."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from core.datasets.sources.generated_set import GeneratedSet, annotate, generate_by_command
from core.datasets.sources.shape_drawing import Instance


def draw(seed: int, split: str, index: int, size: int) -> tuple[np.ndarray, list[Instance]]:
    """A gray image with as many squares of 4 px as its index."""
    mask = np.zeros((size, size), dtype=bool)
    mask[:4, :4] = True
    return np.full((size, size, 3), 10 * seed, dtype=np.uint8), [Instance("star", mask)] * index


SQUARES = GeneratedSet("generated squares", "7", draw, {"train": 2, "val": 1}, smallest_size=16)


def test_a_set_is_written_in_coco_format(tmp_path):
    SQUARES.write(tmp_path / "squares", seed=3, size=16)
    content = json.loads((tmp_path / "squares" / "instances_train.json").read_text())
    assert content["info"] == {"description": "generated squares, train", "version": "7", "seed": 3}
    assert [image["file_name"] for image in content["images"]] == ["000001.jpg", "000002.jpg"]
    assert [(a["id"], a["image_id"]) for a in content["annotations"]] == [(1, 1), (2, 2), (3, 2)]
    assert [category["name"] for category in content["categories"]] == ["ellipse", "triangle", "star", "cross"]
    assert len(list((tmp_path / "squares" / "val").iterdir())) == 1


def test_an_annotation_is_the_tight_box_and_the_mask():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2:5, 3] = mask[4, 3:7] = True  # an L: 3 + 4 - 1 pixels
    annotation = annotate(Instance("star", mask), annotation_id=5, image_id=9)
    assert annotation["bbox"] == [3, 2, 4, 3]
    assert annotation["area"] == 6
    assert annotation["category_id"] == 3
    assert np.array_equal(coco_mask.decode(annotation["segmentation"]), mask)


def test_a_folder_that_is_no_data_set_is_not_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("do not lose me")
    with pytest.raises(ValueError, match="is not a generated data set"):
        SQUARES.write(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_images_must_have_room(tmp_path):
    with pytest.raises(ValueError, match="size is 15 px, expected at least 16"):
        SQUARES.write(tmp_path / "squares", size=15)


def test_a_data_set_is_replaced_as_a_whole(tmp_path):
    root = tmp_path / "squares"
    SQUARES.write(root, {"train": 3}, size=16)
    SQUARES.write(root, {"train": 1}, size=16)
    assert [path.name for path in (root / "train").iterdir()] == ["000001.jpg"]
    assert [path.name for path in tmp_path.iterdir()] == ["squares"]  # nothing half-written is left beside it


def test_a_set_of_before_there_were_test_images_is_replaced_by_one_with_them(tmp_path, capsys):
    three = GeneratedSet("generated squares", "8", draw, {"train": 2, "val": 1, "test": 3}, smallest_size=16)
    SQUARES.write(tmp_path / "squares", size=16)
    assert generate_by_command(three, "core.squares", ["--root", str(tmp_path / "squares"), "--size", "16"]) == 0
    assert len(list((tmp_path / "squares" / "test").iterdir())) == 3
    words = ["--root", str(tmp_path / "two"), "--size", "16", "--test", "0"]
    assert generate_by_command(three, "core.squares", words) == 0
    assert {path.name for path in (tmp_path / "two").glob("*.json")} == {"instances_train.json", "instances_val.json"}


def test_the_command_takes_numbers_of_images(tmp_path, capsys):
    words = ["--root", str(tmp_path / "squares"), "--train", "1", "--val", "2", "--size", "16", "--seed", "5"]
    assert generate_by_command(SQUARES, "core.squares", words) == 0
    assert len(list((tmp_path / "squares" / "val").iterdir())) == 2
    assert json.loads((tmp_path / "squares" / "instances_val.json").read_text())["info"]["seed"] == 5
    assert generate_by_command(SQUARES, "core.squares", ["--root", str(tmp_path)]) == 2
    assert "is not a generated data set" in capsys.readouterr().err
