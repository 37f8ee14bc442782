"""What the command refuses or cannot finish: it says why, and goes on where it stopped."""

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from core.datasets import download
from tests.core.datasets.file_server import FileServer
from tests.core.datasets.small_archives import COCO, Command, files, jpeg, pickled


def test_somebodys_own_photos_are_not_overwritten(
    command: Command, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "root/images").mkdir(parents=True)
    (tmp_path / "root/images/mine.jpg").write_bytes(jpeg(9, 9))
    assert command("people") == 2
    assert "contains some of the files" in capsys.readouterr().err
    assert files(tmp_path / "root") == {"images/mine.jpg"}
    assert server.requests == []


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
