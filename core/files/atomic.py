"""Write files atomically: completely or not at all."""

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FORGOTTEN = 24 * 3600  # seconds since the last write, after which a file of another machine is no longer being written
START_UNKNOWN = 0  # the first process of all starts later than this tick


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on exit, flush the file to disk and rename it to `path`.

    After an error, `path` is unchanged and the temporary file is removed; an OSError names `path`. The temporary name
    is `.NAME.WRITER.partial`, never given twice, so that any number of processes may write the same file: the last one
    wins. What a killed process left is removed by the next that writes the file.
    """
    remove_leftovers(path)
    partial = path.with_name(f".{path.name}.{_writer(os.getpid())}-{secrets.token_hex(4)}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # else a power cut could leave an empty file under the new name
        os.replace(partial, path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(partial)):  # writing knows no name
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        partial.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of `path` whose process has ended; those of living processes stay.

    Of a file that another machine or container left, or one without a writer's name, only the age says so: no write
    pauses for a day.
    """
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(?:([0-9a-f]+-\d+-\d+)-[0-9a-f]+\.)?partial")
    for name in os.listdir(path.parent) if path.parent.is_dir() else ():
        if found := pattern.fullmatch(name):
            left = path.with_name(name)
            if _has_ended(found[1], left):
                left.unlink(missing_ok=True)


def _writer(process_id: int) -> str:
    """MACHINE-PROCESS-START: which no two processes share, even if one gets the number of another that has ended."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended, or belongs to another user
        return f"{_machine()}-{process_id}-{START_UNKNOWN}"
    return f"{_machine()}-{process_id}-{fields[19]}"  # clock ticks since boot: no change of the time of day moves it


def _has_ended(writer: str | None, partial: Path) -> bool:
    machine, process_id, _ = (writer or "unknown-0-0").split("-")
    if machine != _machine():
        try:
            return time.time() - partial.stat().st_mtime > FORGOTTEN
        except FileNotFoundError:
            return False
    found = _writer(int(process_id))
    return found != writer if not found.endswith(f"-{START_UNKNOWN}") else not _exists(int(process_id))


def _exists(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _machine() -> str:
    """What process numbers belong to: the boot of a machine, and the container that this process is in."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    return hashlib.sha256(f"{boot} {os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:8]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically (`replaced`); its folder is created if missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write text as UTF-8, like `write_bytes`."""
    write_bytes(path, content.encode())
