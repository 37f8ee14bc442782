"""One process at a time: the others wait their turn, or are told whose turn it is."""

import errno
import fcntl
import logging
import os
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)

LOCK = ".lock"
HELD = (errno.EAGAIN, errno.EACCES)  # POSIX allows both
LOOK = 0.002  # seconds between two tries for a lock that another process holds


@contextmanager
def folder_lock(folder: Path, work: str) -> Iterator[None]:
    """Create the folder and hold its lock for the block; `work` names what is done there, as in `training`.

    The operating system releases the lock when the process ends, however it ends. A file system without locks gets a
    warning.

    Raises:
        ValueError: if another process holds the lock; names the process, and its machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    file = _locked(path, folder, work)
    try:
        with suppress(OSError):  # on a full disk: the lock holds without the name of its holder
            os.truncate(file, 0)
            os.write(file, f"process {os.getpid()} on {os.uname().nodename}".encode())
        yield
    finally:
        path.unlink(missing_ok=True)  # still locked, so that no one takes it between
        os.close(file)


def _locked(path: Path, folder: Path, work: str) -> int:
    """Descriptor of the lock file, locked.

    A lock of `lockf` is this process's alone: forked processes that outlive it by seconds do not hold it.
    """
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(file, 200).decode(errors="replace") or "a process"
            if error.errno not in HELD:
                log.warning("%s: no locks here (%s): start no second %s in this folder", folder, error.strerror, work)
                return file
            os.close(file)
            raise ValueError(
                f"{folder}: another {work} uses this folder ({holder}); wait until it ends, or choose another folder"
            ) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)  # its holder ended, and removed it, after it was opened here


@contextmanager
def exclusive(path: Path, *, while_waiting: str = "") -> Iterator[bool]:
    """Wait until no other process is within the block with this file, which is created; yields whether it locks.

    The operating system releases the lock when the process ends, however it ends. On a file system without locks the
    block runs at once, with False. `while_waiting` is printed to stderr, on one line, if there is someone to wait for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        yield _wait_for(file, while_waiting)


def _wait_for(file: TextIO, while_waiting: str) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if while_waiting:
            print(while_waiting, file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


class NumberedLocks:
    """A lock for each number from 0, which this process shares with those that are forked from it.

    A lock is a byte of a file without a name, which need not be that long. The operating system releases it when its
    holder ends, however it ends. Threads of one process do not exclude each other.
    """

    def __init__(self) -> None:
        self._file = _nameless_file()
        weakref.finalize(self, os.close, self._file)

    @contextmanager
    def hold(self, number: int, patience: float) -> Iterator[bool]:
        """Hold a lock for the block; yields False if that fails within `patience` seconds, or there are no locks here.

        A holder may hang, or be suspended: others are to do without the lock then.
        """
        held = self._acquire(number, time.monotonic() + patience)
        try:
            yield held
        finally:
            if held:
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number)

    def _acquire(self, number: int, deadline: float) -> bool:
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                return True
            except OSError as error:
                if error.errno not in HELD or time.monotonic() > deadline:
                    return False
            time.sleep(LOOK)


def _nameless_file() -> int:
    """Descriptor of an empty file that ends with its last process; in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("locks")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
