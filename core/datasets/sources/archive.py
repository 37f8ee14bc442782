"""Unpack zip and tar archives from untrusted sources: never outside the target folder, completely or not at all."""

import gzip
import json
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, Literal

from tqdm import tqdm

from core.datasets.sources.disk_space import require_space

RECORD = ".unpacked.json"  # in the unpacked folder: name of the archive, files and their sizes

DAMAGED = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)


@dataclass(frozen=True)
class Member:
    """One entry of an archive; `open` returns the content of a file."""

    name: str
    size: int  # bytes
    kind: Literal["file", "folder", "other"]  # other: links, devices
    open: Callable[[], IO[bytes] | None]


def unpack(
    archive: Path,
    target: Path,
    *,
    inside: str = "",  # folder of the archive
    prefixes: tuple[str, ...] = ("",),
    progress: bool = False,
) -> None:
    """Unpack the folder `inside` of an archive (.zip, otherwise tar, compressed or not) as the folder `target`.

    Unpacks the files whose path below `inside` begins with one of `prefixes`, to a temporary folder that is renamed to
    `target` when it is complete; a record in it lists the files. Dates, owners and modes are not kept. The checksums
    in zip archives are verified.

    Raises:
        ValueError: if the archive is damaged, encrypted or compressed in an unknown way, has no such files, or any
            member is a link, a device or outside the archive's folder (an absolute path, a drive, `..`); then nothing
            is written.
        OSError: if the disk is too full, or files cannot be read or written; names the archive.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        with _open_members(archive) as members:
            files = _selected(archive, members, inside, prefixes)
            target.parent.mkdir(parents=True, exist_ok=True)
            require_space(target.parent, sum(member.size for member in files.values()))
            shutil.rmtree(partial, ignore_errors=True)  # left by a killed process
            for name, member in tqdm(files.items(), desc=archive.name, unit="file", disable=not progress):
                _write(member, partial / name)
        sizes = {name: member.size for name, member in files.items()}
        (partial / RECORD).write_text(json.dumps({"archive": archive.name, "files": sizes}))
        os.replace(partial, target)
    except DAMAGED as error:
        raise ValueError(f"{archive}: is damaged ({error}); remove it to download it again") from error
    except RuntimeError as error:  # from zipfile: encrypted, or (NotImplementedError) an unknown compression
        expected = "expected no password, and members stored or compressed by deflate, bzip2 or LZMA"
        raise ValueError(f"{archive}: cannot be unpacked ({error}); {expected}") from error
    except OSError as error:
        if error.errno is None:  # from bz2: damaged data
            raise ValueError(f"{archive}: is damaged ({error}); remove it to download it again") from error
        raise OSError(error.errno, f"{archive}: cannot be unpacked as {target} ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def is_unpacked(target: Path, archive_name: str) -> bool:
    """Whether `target` was unpacked from this archive by `unpack`; additional files are ignored.

    Raises:
        ValueError: if it exists but was not, or files of the archive are missing or of another size.
    """
    if not target.exists():
        return False
    record = _read_record(target)
    if record.get("archive") != archive_name:
        raise ValueError(f"{target}: exists but was not unpacked from {archive_name}; move it away to try again")
    expected = record["files"]
    wrong = [name for name, size in expected.items() if not _has_size(target / name, size)]
    if wrong:
        found = f"{len(wrong)} of {len(expected)} files are missing or of another size, such as {wrong[0]}"
        raise ValueError(f"{target}: {found}; remove the folder to unpack {archive_name} again")
    return True


def _read_record(target: Path) -> dict[str, Any]:
    try:
        return json.loads((target / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}


def _has_size(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _selected(archive: Path, members: list[Member], inside: str, prefixes: tuple[str, ...]) -> dict[str, Member]:
    """The files to unpack by path below `inside`, after checking that every member of the archive is safe."""
    for member in members:
        path = PureWindowsPath(member.name)  # accepts / and \ as separators
        if path.anchor or ".." in path.parts:
            raise ValueError(f"{archive}: {member.name!r} is outside the archive's folder, expected a path inside it")
        if member.kind == "other":
            raise ValueError(f"{archive}: {member.name!r} is a link or device, expected files and folders only")
    paths = [(PurePosixPath(member.name), member) for member in members if member.kind == "file"]
    below = {str(path.relative_to(inside)): member for path, member in paths if path.is_relative_to(inside)}
    files = {name: member for name, member in below.items() if name.startswith(prefixes)}
    if not files:
        wanted = ", ".join(f"{inside}/{prefix}*" for prefix in prefixes)
        raise ValueError(f"{archive}: none of its {len(members)} members matches {wanted}")
    return files


def _write(member: Member, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as content, path.open("xb") as file:
        shutil.copyfileobj(content, file)
    if path.stat().st_size != member.size:
        raise EOFError(f"{member.name} has {path.stat().st_size} bytes, expected {member.size}")


@contextmanager
def _open_members(archive: Path) -> Iterator[list[Member]]:
    """Open an archive and yield its members."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as zipped:
            yield [_zip_member(zipped, info) for info in zipped.infolist()]
    else:
        with tarfile.open(archive) as tarred:
            yield [_tar_member(tarred, info) for info in tarred]


def _zip_member(zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    unix_type = stat.S_IFMT(info.external_attr >> 16)  # 0 if the archive does not store one
    is_plain = unix_type in (0, stat.S_IFREG, stat.S_IFDIR)
    kind = "other" if not is_plain else "folder" if info.is_dir() else "file"
    return Member(info.filename, info.file_size, kind, lambda: zipped.open(info))


def _tar_member(tarred: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    kind = "file" if info.isfile() else "folder" if info.isdir() else "other"
    return Member(info.name, info.size, kind, lambda: tarred.extractfile(info))
