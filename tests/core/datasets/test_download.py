"""Which files the command downloads, where it puts them, and what it does not fetch again."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.datasets import download
from core.datasets.download import Shelf, download_people
from core.datasets.sources.nuclei import split_of
from core.datasets.sources.scenes import SCENES
from core.evaluation.data import TEST_DEV
from tests.core.datasets.file_server import FileServer
from tests.core.datasets.small_archives import COCO, Command, files, pickled
from tests.core.datasets.sources.test_nuclei import IDS


def test_coco_lies_where_the_default_recipe_looks(command: Command, tmp_path: Path) -> None:
    assert command("coco") == 0
    assert files(tmp_path / "root") == COCO
    assert {path.name for path in (tmp_path / "root").iterdir()} == {"train2017", "val2017", "annotations"}


def test_a_second_call_downloads_nothing(command: Command, server: FileServer, tmp_path: Path) -> None:
    for dataset in ("coco", "voc"):
        assert command(dataset) == 0
    assert len(server.requests) == 5
    for dataset in ("coco", "voc"):
        assert command(dataset) == 0
    assert len(server.requests) == 5


def test_validation_alone_can_be_completed_later(command: Command, server: FileServer, tmp_path: Path) -> None:
    assert command("coco_val") == 0
    assert files(tmp_path / "root") == {name for name in COCO if "train2017/" not in name}
    assert command("coco") == 0
    assert files(tmp_path / "root") == COCO
    paths = [path for path, _ in server.requests]
    assert paths == ["/annotations/annotations_trainval2017.zip", "/zips/val2017.zip", "/zips/train2017.zip"]


def test_the_test_set_lies_where_evaluation_looks_and_is_fetched_once(
    command: Command, server: FileServer, tmp_path: Path
) -> None:
    for _ in range(2):
        assert command("coco_test") == 0
    annotations = {name for name in COCO if name.startswith("annotations/")}
    listed = TEST_DEV["val_annotations"]
    assert files(tmp_path / "root") == annotations | {f"{TEST_DEV['val_images']}/000000000001.jpg", listed}
    assert (tmp_path / "root" / listed).read_text() == "-dev"
    assert {path.name for path in (tmp_path / "root").iterdir()} == {"annotations", "test2017"}
    assert len(server.requests) == 3
    assert command("coco") == 0  # the rest
    assert len(server.requests) == 5
    assert files(tmp_path / "root") == COCO | {"test2017/000000000001.jpg", listed}


def test_voc_is_converted(command: Command, server: FileServer, tmp_path: Path) -> None:
    assert command("voc") == 0
    train = json.loads((tmp_path / "root/annotations/instances_train_aug.json").read_text())
    assert [image["id"] for image in train["images"]] == [2007000032, 2008000002]
    assert [a["category_id"] for a in train["annotations"]] == [15, 8, 15, 8]
    found = files(tmp_path / "root")
    assert "VOC2012/JPEGImages/2007_000032.jpg" in found
    assert "VOC2012/Annotations/2007_000032.xml" not in found


def test_people_are_made_once(server: FileServer, tmp_path: Path) -> None:
    list_of_images = tmp_path / "list.json"
    list_of_images.write_text(json.dumps({"train": [139], "val": [285], "boxes_only": [632]}))
    shelf = Shelf(tmp_path / "archives", mirror=server.url)
    for _ in range(2):
        download_people(tmp_path / "root", shelf, list_of_images)
    assert files(tmp_path / "root") == {
        "images/000000000139.jpg", "images/000000000285.jpg", "images/000000000632.jpg",
        "instances_train.json", "instances_val.json", "boxes_only.json",
    }  # fmt: skip
    assert len(server.requests) == 2
    assert files(tmp_path / "archives") == set()


def test_nuclei_are_made_once_and_record_the_archive(command: Command, server: FileServer, tmp_path: Path) -> None:
    for _ in range(2):
        assert command("nuclei") == 0
    images = {f"images/{image_id}.png" for image_id in IDS if split_of(image_id) is not None}
    assert files(tmp_path / "root") == images | {"instances_train.json", "instances_val.json"}
    assert not (tmp_path / "root/.archives").exists()
    ((path, _),) = server.requests
    info = json.loads((tmp_path / "root/instances_val.json").read_text())["info"]
    assert info["archive_sha256"] == hashlib.sha256(server.files[path]).hexdigest()


def test_archives_can_be_kept_and_used_again(command: Command, server: FileServer, tmp_path: Path) -> None:
    archives = str(tmp_path / "archives")
    assert command("coco_val", "--archives", archives) == 0
    assert files(tmp_path / "archives") == {"val2017.zip", "annotations_trainval2017.zip"}
    shutil.rmtree(tmp_path / "root")
    assert command("coco_val", "--archives", archives) == 0
    assert len(server.requests) == 2
    assert files(tmp_path / "root") == {name for name in COCO if "train2017/" not in name}


def test_scenes_are_drawn_without_a_request(
    command: Command, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "SCENES", replace(SCENES, num_images={"train": 2, "val": 1}))
    for _ in range(2):
        assert command("scenes") == 0
    photos = {"train/000001.jpg", "train/000002.jpg", "val/000001.jpg"}
    assert files(tmp_path / "root") == photos | {"instances_train.json", "instances_val.json"}
    assert server.requests == []


def test_weights_lie_where_the_recipes_look(command: Command, server: FileServer, tmp_path: Path) -> None:
    server.files |= {f"/MSRA/{name}.pkl": pickled(conv1_w=np.zeros(3, np.float32)) for name in ("R-50", "R-101")}
    for _ in range(2):
        assert command("weights") == 0
    assert files(tmp_path / "root") == {"R-50.pkl", "R-101.pkl"}
    assert len(server.requests) == 2
