"""A clone, a copy and a moved folder: which of them is the same project on an MLflow server."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from experiments.tracking import project as project_module
from experiments.tracking.driver import Driver, has_died
from experiments.tracking.project import Project, locked


@pytest.fixture
def original(tmp_path: Path) -> Path:
    folder = tmp_path / "original"
    folder.mkdir()
    Project(folder)
    return folder


def test_the_id_is_written_once(original: Path) -> None:
    noted = (original / ".tracking" / "project.json").read_bytes()
    assert Project(original).id == Project(original).id == json.loads(noted)["id"]
    assert (original / ".tracking" / "project.json").read_bytes() == noted


def test_a_moved_project_keeps_its_id(original: Path, tmp_path: Path) -> None:
    before = Project(original).id
    moved = original.rename(tmp_path / "moved")
    assert Project(moved).id == before
    moved.rename(original)
    assert Project(original).id == before


def test_a_project_that_was_moved_to_another_disk_keeps_its_id(original: Path, tmp_path: Path) -> None:
    before = Project(original).id
    shutil.copytree(original, tmp_path / "disk")  # another inode
    shutil.rmtree(original)
    assert Project(tmp_path / "disk").id == before


def test_a_link_to_the_project_is_the_project(original: Path, tmp_path: Path) -> None:
    before = Project(original).id
    (tmp_path / "link").symlink_to(original)
    assert Project(tmp_path / "link").id == Project(original).id == before


@pytest.mark.parametrize("copy_file", [shutil.copy2, os.link])
def test_a_copy_is_another_project(original: Path, tmp_path: Path, copy_file) -> None:
    before = Project(original).id
    copied = tmp_path / "copied"
    shutil.copytree(original, copied, copy_function=copy_file)
    assert Project(copied).id != before
    assert Project(copied).id == Project(copied).id
    assert Project(original).id == before


def test_a_copy_on_another_machine_is_another_project(original: Path, tmp_path: Path, monkeypatch) -> None:
    before = Project(original).id
    folder = original.rename(tmp_path / "elsewhere")
    monkeypatch.setattr(project_module, "_machine", lambda: "another")
    assert Project(folder).id == before  # the same file: a disk that two machines share
    shutil.copytree(folder, original)
    shutil.rmtree(folder)
    monkeypatch.setattr(project_module, "_machine", lambda: "a third")
    assert Project(original).id != before


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"id": 1}', '{"id": "x", "folder": "/", "machine": "m"}'])
def test_a_damaged_note_is_written_anew(original: Path, damage: str) -> None:
    note = original / ".tracking" / "project.json"
    note.write_text(damage)
    assert Project(original).id == json.loads(note.read_text())["id"] != "x"


def test_a_lock_that_stays_taken_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(project_module, "SECONDS_FOR_LOCK", 0.1)
    path = tmp_path / "lock"
    with locked(path), pytest.raises(TimeoutError, match=r"lock: locked by another process for 0\.1 s"), locked(path):
        pass
    with locked(path):
        pass


def test_without_locks_nobody_waits(tmp_path: Path, monkeypatch) -> None:
    def not_implemented(*arguments: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(project_module.fcntl, "flock", not_implemented)
    with locked(tmp_path / "lock"), locked(tmp_path / "lock"):
        assert Project(tmp_path).id == Project(tmp_path).id
    driver = Driver(tmp_path)
    assert not has_died(driver.name, tmp_path)
    driver.close()
    assert has_died(driver.name, tmp_path)
