import hashlib
import json
import pickle
import shutil
import zipfile
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.datasets import download
from core.datasets.download import CATALOG, Shelf, download_people, main
from core.datasets.sources.nuclei import split_of
from core.datasets.sources.people import ANNOTATIONS
from core.datasets.sources.scenes import SCENES
from core.evaluation.data import TEST_DEV
from tests.core.datasets.file_server import FileServer, serving
from tests.core.datasets.sources.test_archive import write_tar
from tests.core.datasets.sources.test_nuclei import IDS, members
from tests.core.datasets.sources.test_people import ALL, official
from tests.core.datasets.sources.test_voc import CLASSES, OBJECTS, write_mat, write_png

Command = Callable[..., int]


def jpeg(width: int, height: int) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (width, height), (200, 100, 50)).save(buffer, "JPEG")
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def voc_archives(folder: Path) -> tuple[bytes, bytes]:
    """VOC 2012 of one image to train on and one to validate, SBD of a third, as tar archives."""
    voc, sbd = folder / "VOCdevkit/VOC2012", folder / "benchmark_RELEASE/dataset"
    for name in ("2007_000032", "2007_000033", "2008_000002"):
        (voc / "JPEGImages").mkdir(parents=True, exist_ok=True)
        (voc / f"JPEGImages/{name}.jpg").write_bytes(jpeg(6, 4))
        write_png(voc / f"SegmentationObject/{name}.png", OBJECTS)
        write_png(voc / f"SegmentationClass/{name}.png", CLASSES)
        write_mat(sbd, name, OBJECTS % 255, [15, 8])
    (voc / "Annotations").mkdir()
    (voc / "Annotations/2007_000032.xml").write_text("not needed")
    (voc / "ImageSets/Segmentation").mkdir(parents=True)
    for path, name in [
        (voc / "ImageSets/Segmentation/train.txt", "2007_000032"),
        (voc / "ImageSets/Segmentation/val.txt", "2007_000033"),
        (sbd / "train.txt", "2008_000002"),
        (sbd / "val.txt", "2007_000033"),
    ]:
        path.write_text(f"{name}\n")
    files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    of_voc = {name: content for name, content in files.items() if name.startswith("VOC")}
    of_sbd = {name: content for name, content in files.items() if name.startswith("benchmark")}
    tars = [write_tar(folder / "voc.tar", of_voc), write_tar(folder / "sbd.tgz", of_sbd)]
    return tars[0].read_bytes(), tars[1].read_bytes()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Small archives under the official paths; the catalog is told their sizes and checksums."""
    (tmp_path / "official").mkdir()
    voc, sbd = voc_archives(tmp_path / "official")
    people = json.dumps(official(ALL)).encode()
    photos = {f"val2017/{i:012d}.jpg": jpeg(w, h) for i, w, h in [(139, 640, 427), (285, 200, 100), (632, 400, 640)]}
    train = {"train2017/000000000009.jpg": jpeg(9, 9)}
    annotations = {ANNOTATIONS: people, "annotations/instances_train2017.json": b"{}", "annotations/captions.json": b""}
    lists = {f"annotations/image_info_test{subset}2017.json": subset.encode() for subset in ("", "-dev")}
    contents = {
        "coco_train": zipped(train), "coco_val": zipped(photos), "coco_annotations": zipped(annotations),
        "coco_test": zipped({"test2017/000000000001.jpg": jpeg(9, 9)}), "coco_test_list": zipped(lists),
        "voc": voc, "sbd": sbd, "nuclei": zipped(members(IDS)),
    }  # fmt: skip
    small = {
        key: replace(CATALOG[key], size=len(content), md5=hashlib.md5(content).hexdigest())
        if CATALOG[key].md5
        else CATALOG[key]
        for key, content in contents.items()
    }
    monkeypatch.setattr(download, "CATALOG", small)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving({f"/{small[key].path}": content for key, content in contents.items()}) as running:
        yield running


@pytest.fixture
def command(server: FileServer, tmp_path: Path) -> Command:
    """Runs the command on `root` against the server; returns the exit code."""

    def run(dataset: str, *more: str) -> int:
        return main([dataset, "--root", str(tmp_path / "root"), "--mirror", f"{server.url}/", *more])

    return run


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}


COCO = {
    "train2017/000000000009.jpg", "val2017/000000000139.jpg", "val2017/000000000285.jpg", "val2017/000000000632.jpg",
    "annotations/instances_train2017.json", "annotations/instances_val2017.json",
}  # fmt: skip


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


def test_somebodys_own_photos_are_not_overwritten(
    command: Command, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root/images").mkdir(parents=True)
    (tmp_path / "root/images/mine.jpg").write_bytes(jpeg(9, 9))
    assert command("people") == 2
    assert "contains some of the files" in capsys.readouterr().err
    assert files(tmp_path / "root") == {"images/mine.jpg"}
    assert server.requests == []


def test_archives_can_be_kept_and_used_again(command: Command, server: FileServer, tmp_path: Path) -> None:
    archives = str(tmp_path / "archives")
    assert command("coco_val", "--archives", archives) == 0
    assert files(tmp_path / "archives") == {"val2017.zip", "annotations_trainval2017.zip"}
    shutil.rmtree(tmp_path / "root")
    assert command("coco_val", "--archives", archives) == 0
    assert len(server.requests) == 2
    assert files(tmp_path / "root") == {name for name in COCO if "train2017/" not in name}


def test_an_interrupted_call_goes_on_where_it_stopped(
    command: Command, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.breaks = [100, 0]
    assert command("coco") == 2
    assert "error: " in (error := capsys.readouterr().err)
    assert "annotations_trainval2017.zip: connection lost after 100 of" in error
    assert files(tmp_path / "root/.archives") == {"annotations_trainval2017.zip.partial"}
    assert not (tmp_path / "root/annotations").exists()
    assert command("coco") == 0
    assert [start for _, start in server.requests] == [0, 100, 100, 0, 0]
    assert files(tmp_path / "root") == COCO


def test_wrong_content_is_told_and_nothing_of_it_is_left(
    command: Command, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = server.files["/zips/val2017.zip"]
    server.files["/zips/val2017.zip"] = content[:-1] + b"?"
    assert command("coco") == 2
    assert "/zips/val2017.zip: has MD5 " in capsys.readouterr().err
    assert files(tmp_path / "root") == {name for name in COCO if name.startswith("annotations")}


def test_a_missing_archive_is_told_with_its_url(
    command: Command, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    del server.files["/voc2012/VOCtrainval_11-May-2012.tar"]
    assert command("voc") == 2
    expected = f"error: {server.url}/voc2012/VOCtrainval_11-May-2012.tar: server returned 404 Not Found"
    assert expected in capsys.readouterr().err


def test_room_for_archives_and_files_is_asked_for_before_the_first_request(
    command: Command, server: FileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [download.CATALOG[key].size for key in ("coco_train", "coco_val", "coco_annotations")]
    needed = sum(sizes) + max(sizes)  # all unpacked, and the largest archive beside it
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - needed + 1, needed - 1))
    assert command("coco") == 2
    assert "not enough disk space" in capsys.readouterr().err
    assert server.requests == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - needed, needed))
    assert command("coco") == 0


def test_a_folder_with_half_its_images_is_told(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("coco_val") == 0
    (tmp_path / "root/val2017/000000000139.jpg").unlink()
    assert command("coco_val") == 2
    assert "val2017: 1 of 3 files are missing or of another size" in capsys.readouterr().err


def pickled(**arrays: np.ndarray) -> bytes:
    return pickle.dumps(arrays, protocol=2)


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


def test_weights_that_cannot_be_read_are_told_and_removed(
    command: Command, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files |= {"/MSRA/R-50.pkl": pickled(conv1_w=np.zeros(3, np.float32)), "/MSRA/R-101.pkl": b"<html>no</html>"}
    assert command("weights") == 2
    assert "R-101.pkl: not a pickle that holds only numpy arrays" in capsys.readouterr().err
    assert files(tmp_path / "root") == {"R-50.pkl"}


def test_a_mirror_that_is_no_web_address_is_refused(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("coco", "--mirror", "file:///tmp") == 2
    assert "expected a URL that begins with http" in capsys.readouterr().err
