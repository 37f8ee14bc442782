import errno
import io
import json
import shutil
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from core.datasets.sources.archive import RECORD, is_unpacked, unpack

FILES = {"top/a/1.txt": b"one", "top/a/2.txt": b"two" * 1000, "top/b.txt": b"", "other.txt": b"not in top"}


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def write(path: Path, files: dict[str, bytes]) -> Path:
    return (write_zip if path.suffix == ".zip" else write_tar)(path, files)


def contents(folder: Path) -> dict[str, bytes]:
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if name != RECORD}


KINDS = pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tgz"])


@KINDS
def test_a_folder_of_the_archive_becomes_the_target(tmp_path: Path, name: str) -> None:
    archive = write(tmp_path / name, FILES)
    unpack(archive, tmp_path / "out" / "t", inside="top")
    assert contents(tmp_path / "out" / "t") == {"a/1.txt": b"one", "a/2.txt": b"two" * 1000, "b.txt": b""}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"t"}


@KINDS
def test_prefixes_pick_files(tmp_path: Path, name: str) -> None:
    unpack(write(tmp_path / name, FILES), tmp_path / "t", inside="top", prefixes=("a/2", "b"))
    assert set(contents(tmp_path / "t")) == {"a/2.txt", "b.txt"}


def test_names_that_begin_with_a_dot_and_folder_members_are_fine(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        folder = tarfile.TarInfo("./top")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        archive.addfile(tarfile.TarInfo("./top/a.txt"), io.BytesIO())
    unpack(tmp_path / "x.tar", tmp_path / "t", inside="top")
    assert set(contents(tmp_path / "t")) == {"a.txt"}


@KINDS
def test_what_is_unpacked_is_recognized(tmp_path: Path, name: str) -> None:
    archive = write(tmp_path / name, FILES)
    assert not is_unpacked(tmp_path / "t", name)
    unpack(archive, tmp_path / "t", inside="top")
    (tmp_path / "t" / "mine.txt").write_text("a further file")
    assert is_unpacked(tmp_path / "t", name)
    assert json.loads((tmp_path / "t" / RECORD).read_text())["files"] == {"a/1.txt": 3, "a/2.txt": 3000, "b.txt": 0}


def test_missing_and_truncated_files_are_noticed(tmp_path: Path) -> None:
    unpack(write_zip(tmp_path / "x.zip", FILES), tmp_path / "t", inside="top")
    (tmp_path / "t/a/1.txt").write_bytes(b"on")
    (tmp_path / "t/b.txt").unlink()
    with pytest.raises(ValueError, match=r"t: 2 of 3 files are missing or of another size, such as a/1\.txt; remove"):
        is_unpacked(tmp_path / "t", "x.zip")


def test_a_folder_of_other_origin_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    with pytest.raises(ValueError, match=r"t: exists but was not unpacked from x\.zip"):
        is_unpacked(tmp_path / "t", "x.zip")


@KINDS
@pytest.mark.parametrize(
    "member", ["../evil.txt", "top/../../evil.txt", "/tmp/evil.txt", "C:/evil.txt", "top\\..\\..\\evil.txt"]
)
def test_names_that_lead_out_are_refused_before_anything_is_written(tmp_path: Path, name: str, member: str) -> None:
    archive = write(tmp_path / name, FILES | {member: b"evil"})
    with pytest.raises(ValueError, match=r"x\.\w+: '.*evil\.txt' is outside the archive's folder"):
        unpack(archive, tmp_path / "out" / "t", inside="top")
    assert {path.name for path in tmp_path.rglob("*")} == {name}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    archive = write_tar(tmp_path / "x.tar", FILES)
    with tarfile.open(archive, "a") as opened:
        member = tarfile.TarInfo("top/link")
        member.type, member.linkname = kind, "/etc"
        opened.addfile(member)
    with pytest.raises(ValueError, match="'top/link' is a link or device"):
        unpack(archive, tmp_path / "t", inside="top")
    assert {path.name for path in tmp_path.iterdir()} == {"x.tar"}


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_zip(tmp_path / "x.zip", FILES), "a") as opened:
        member = zipfile.ZipInfo("top/link")
        member.external_attr = 0o120777 << 16
        opened.writestr(member, "/etc")
    with pytest.raises(ValueError, match="'top/link' is a link or device"):
        unpack(tmp_path / "x.zip", tmp_path / "t", inside="top")
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip"}


def test_a_flipped_bit_in_a_zip_is_noticed_and_nothing_is_left(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("top/1.txt", b"first")
        archive.writestr("top/2.txt", b"second")
    damaged = (tmp_path / "x.zip").read_bytes().replace(b"second", b"sekond", 1)
    (tmp_path / "x.zip").write_bytes(damaged)
    with pytest.raises(ValueError, match=r"x\.zip: is damaged \(Bad CRC-32 for file 'top/2\.txt'\)"):
        unpack(tmp_path / "x.zip", tmp_path / "t", inside="top")
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip"}


@KINDS
def test_a_truncated_archive_is_damaged_and_nothing_is_left(tmp_path: Path, name: str) -> None:
    archive = write(tmp_path / name, {"top/1.txt": b"a", "top/2.txt": bytes(range(256)) * 400})
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(ValueError, match="is damaged"):
        unpack(archive, tmp_path / "t", inside="top")
    assert {path.name for path in tmp_path.iterdir()} == {name}


def flagged(path: Path, offset: int, value: int) -> Path:
    """A zip of one member with two bytes of its entry in the directory, and of its own header, set to this value."""
    content = bytearray(write_zip(path, {"top/1.txt": b"a" * 1000}).read_bytes())
    for signature, place in ((b"PK\x01\x02", offset + 2), (b"PK\x03\x04", offset)):
        start = content.index(signature) + place
        content[start : start + 2] = value.to_bytes(2, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("offset", "value", "reason"), [
    (6, 1, "is encrypted, password required"), (8, 97, "compression method is not supported"),
])  # fmt: skip
def test_an_encrypted_zip_and_an_unknown_compression_are_told(
    tmp_path: Path, offset: int, value: int, reason: str
) -> None:
    archive = flagged(tmp_path / "x.zip", offset, value)
    with pytest.raises(ValueError, match=rf"x\.zip: cannot be unpacked \(.*{reason}.*\); expected no password"):
        unpack(archive, tmp_path / "t", inside="top")
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip"}


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_that_is_damaged_within_a_member_is_told(tmp_path: Path, compression: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", compression) as archive:
        archive.writestr("top/1.txt", bytes(range(256)) * 400)
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[60:100] = b"\xff" * 40
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.zip: is damaged \(.+\); remove it"):
        unpack(tmp_path / "x.zip", tmp_path / "t", inside="top")


def test_a_damaged_tar_of_lzma_is_told(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar.xz", "w:xz") as archive:
        member = tarfile.TarInfo("top/1.txt")
        member.size = 200_000
        archive.addfile(member, io.BytesIO(np.random.default_rng(0).bytes(200_000)))
    content = bytearray((tmp_path / "x.tar.xz").read_bytes())
    content[100_000:100_100] = b"\xff" * 100
    (tmp_path / "x.tar.xz").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.tar\.xz: is damaged \(Corrupt input data\); remove it"):
        unpack(tmp_path / "x.tar.xz", tmp_path / "t", inside="top")


def test_a_disk_that_fills_up_meanwhile_is_told_with_the_archive_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    archive = write_zip(tmp_path / "x.zip", FILES)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match=r"x\.zip: cannot be unpacked as .*t \(.*No space left on device\)") as raised:
        unpack(archive, tmp_path / "t", inside="top")
    assert raised.value.errno == errno.ENOSPC
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip"}


def test_an_archive_without_the_files_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", FILES)
    with pytest.raises(ValueError, match=r"x\.zip: none of its 4 members matches top/c\*, top/d\*"):
        unpack(archive, tmp_path / "t", inside="top", prefixes=("c", "d"))


@KINDS
def test_too_little_room_is_told_before_anything_is_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write(tmp_path / name, FILES)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 3002, 3002))  # 3003 bytes are needed
    with pytest.raises(OSError, match="not enough disk space"):
        unpack(archive, tmp_path / "t", inside="top")
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".t.partial" / "a").mkdir(parents=True)
    (tmp_path / ".t.partial" / "a" / "1.txt").write_text("half")
    unpack(write_zip(tmp_path / "x.zip", FILES), tmp_path / "t", inside="top")
    assert contents(tmp_path / "t")["a/1.txt"] == b"one"
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip", "t"}
