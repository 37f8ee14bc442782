"""A file is replaced as a whole or stays as it was."""

import os
from pathlib import Path

import pytest

from core.files.atomic import replaced, write_text


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with replaced(path) as partial:
        partial.write_text("new")
        assert not path.exists()
        assert partial.parent == tmp_path  # a rename is atomic within a file system
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_file_before_it_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail() -> None:
        with replaced(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    with replaced(tmp_path / "a.json") as partial:
        partial.write_text("ne")
        left = partial
    left.write_text("unfinished")
    with replaced(tmp_path / "a.json") as partial:
        partial.write_text("new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_the_bytes_are_on_the_disk_before_the_name_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("fsync", "replace"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, name=name, original=original: (done.append(name), original(*a)))
    with replaced(tmp_path / "a.json") as partial:
        partial.write_text("new")
    assert done == ["fsync", "replace"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "a.json"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_text_is_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "tables" / "x.md"
    write_text(path, "τ")
    write_text(path, "θ")
    assert path.read_bytes() == "θ".encode()
    assert list(path.parent.iterdir()) == [path]
