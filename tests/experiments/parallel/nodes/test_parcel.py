"""Files that travel: all bytes arrive, and a record only after what it names."""

from pathlib import Path

import numpy as np
import pytest

from experiments.parallel.nodes.parcel import pack, unpack


def test_a_folder_arrives_with_every_byte_and_without_files_that_are_being_written(tmp_path: Path) -> None:
    sent, arrived = tmp_path / "sent", tmp_path / "arrived"
    content = {
        "checkpoint.pt": bytes(range(256)) * 9,
        "pictures/7.png": b"png",
        "teacher/checkpoint.pt": b"t",
        "e": b"",
    }
    for name, value in content.items() | {(".checkpoint.pt.1.partial", b"half"), (".hidden/file", b"h")}:
        (sent / name).parent.mkdir(parents=True, exist_ok=True)
        (sent / name).write_bytes(value)
    unpack(pack(sent), arrived)
    files = [path for path in arrived.rglob("*") if path.is_file()]
    assert {path.relative_to(arrived).as_posix(): path.read_bytes() for path in files} == content


def test_only_the_files_that_are_asked_for_are_packed(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    assert {name: bytes(value) for name, value in pack(tmp_path, ["b"]).items()} == {"b": b"b"}


def test_what_is_to_come_last_is_not_written_if_another_file_fails(tmp_path: Path) -> None:
    parcel = {name: np.frombuffer(name.encode(), np.uint8) for name in ("record.json", "a", "found.json", "z")}
    (tmp_path / "z").mkdir()  # so that no file can take its place
    with pytest.raises(OSError, match="z"):
        unpack(parcel, tmp_path, last=("found.json", "record.json"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "z"]
