"""Which clone of the project this is: on an MLflow server that others use too, it touches its own runs alone.

The id is in `.tracking/`, which git and DVC leave out: a clone gets an id of its own, also after `dvc pull`. A project
that is moved keeps its id, one that is copied gets another.
"""

import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STATE = ".tracking"  # folder in the project
NOTE = "project.json"
SECONDS_FOR_LOCK = 120  # longer than a first migration of the database takes on a slow disk


class Project:
    """The folder in which a sweep was started.

    Raises:
        OSError: if its state cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.state = self.folder / STATE
        self.state.mkdir(exist_ok=True)
        with self.lock():
            self.id = self._own_id()

    @property
    def drivers(self) -> Path:
        """The folder of `Driver`."""
        return self.state / "drivers"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other sweeps of this project from looking for a run and creating it at the same time."""
        with locked(self.state / "lock"):
            yield

    def _own_id(self) -> str:
        path = self.state / NOTE
        noted = _read(path)
        if noted is None or self._is_copied(noted):
            noted = {"id": uuid.uuid4().hex}
        place = {"folder": str(self.folder), "machine": _machine()}
        if noted != noted | place | {"inode": path.stat().st_ino if path.exists() else None}:
            _write(path, noted | place)
        return noted["id"]

    def _is_copied(self, noted: dict[str, Any]) -> bool:
        """Whether the note came here by copying: the original is still there, or it was written on another machine.

        A file that was moved keeps its inode, unless it went to another disk, and so it does where several machines
        share a disk.
        """
        before = Path(noted["folder"]) / STATE
        if before != self.state and (original := _read(before / NOTE)) is not None and original["id"] == noted["id"]:
            return not before.samefile(self.state)  # else two paths to one folder
        return noted["machine"] != _machine() and noted["inode"] != (self.state / NOTE).stat().st_ino


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Wait until no other process has locked this file, and block the others meanwhile.

    The operating system releases the lock when the process ends, however it ends. On a file system without locks
    nobody waits.

    Raises:
        OSError: if the file cannot be written, or stays locked for `SECONDS_FOR_LOCK`.
    """
    deadline = time.monotonic() + SECONDS_FOR_LOCK
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    message = f"{path}: locked by another process for {SECONDS_FOR_LOCK} s; end it"
                    raise TimeoutError(message) from None
                time.sleep(0.05)
            except OSError:
                break
        yield


def _read(path: Path) -> dict[str, Any] | None:
    """A note with all its entries; None if there is none."""
    try:
        noted = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    names = {"id": str, "folder": str, "machine": str, "inode": int}
    valid = isinstance(noted, dict) and all(isinstance(noted.get(name), kind) for name, kind in names.items())
    return noted if valid else None


def _write(path: Path, noted: dict[str, Any]) -> None:
    """Write a note that names its own inode; a rename keeps it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with partial.open("w") as file:
        json.dump(noted | {"inode": os.fstat(file.fileno()).st_ino}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip() or socket.gethostname()
    except OSError:
        return socket.gethostname()
