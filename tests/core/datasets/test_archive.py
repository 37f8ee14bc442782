import io
import json
import shutil
import tarfile
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from core.datasets.archive import RECORD, is_unpacked, unpack

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
    with pytest.raises(ValueError, match=r"x\.\w+: '.*evil\.txt' leads out of the archive's folder"):
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


def test_an_archive_without_the_files_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "x.zip", FILES)
    with pytest.raises(ValueError, match=r"x\.zip: none of its 4 members is top/c\*, top/d\*"):
        unpack(archive, tmp_path / "t", inside="top", prefixes=("c", "d"))


@KINDS
def test_too_little_room_is_told_before_anything_is_written(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write(tmp_path / name, FILES)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 3002, 3002))  # 3003 bytes are needed
    with pytest.raises(OSError, match="not enough room"):
        unpack(archive, tmp_path / "t", inside="top")
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".t.partial" / "a").mkdir(parents=True)
    (tmp_path / ".t.partial" / "a" / "1.txt").write_text("half")
    unpack(write_zip(tmp_path / "x.zip", FILES), tmp_path / "t", inside="top")
    assert contents(tmp_path / "t")["a/1.txt"] == b"one"
    assert {path.name for path in tmp_path.iterdir()} == {"x.zip", "t"}
