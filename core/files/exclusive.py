"""One process at a time: the others wait their turn."""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def exclusive(path: Path, *, while_waiting: str = "") -> Iterator[bool]:
    """Wait until no other process is within the block with this file, which is created; yields whether it locks.

    The operating system releases the lock when the process ends, however it ends. On a file system without locks the
    block runs at once, with False. `while_waiting` is printed to stderr, on one line, if there is someone to wait for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        yield _lock(file, while_waiting)


def _lock(file: TextIO, while_waiting: str) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if while_waiting:
            print(while_waiting, file=sys.stderr, flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True
