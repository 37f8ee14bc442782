"""Which trials of a store were found whole before: their files are not read again as long as nobody writes them.

A trial is known by the state of its files: inode, size, and times of the last writing and of the last change of any
kind, which no program can set. What a disk damages by itself is noticed by whoever reads the file.
"""

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from core.files.atomic import write_text
from core.files.json_file import parse_json, read_utf8

SETTLED_SECONDS = 2.0  # a file that was written again within the clock of its file system would look the same


class Unchanged:
    """The trials of a store that are known to be whole, by key; kept in `path`, which may be removed at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, str] | None = None  # states by key; read when first asked for
        self._is_new = False

    def knows(self, key: str, state: str | None) -> bool:
        """Whether the trial was whole in this state, the one that it has now."""
        return state is not None and self._states().get(key) == state

    def note(self, key: str, state: str | None) -> None:
        """The trial is whole in this state, if there is one."""
        if state is not None:
            self._states()[key] = state
            self._is_new = True

    def save(self) -> None:
        """Write the file if there is something new; not where the folder takes no files, since no result needs it."""
        if self._is_new:
            with suppress(OSError):
                write_text(self._path, json.dumps(self._states()))
            self._is_new = False

    def _states(self) -> dict[str, str]:
        if self._known is None:
            self._known = {}
            with suppress(ValueError):
                content = parse_json(read_utf8(self._path), self._path)
                self._known = content if isinstance(content, dict) else {}
        return self._known


def state_of(folder: Path, names: Sequence[str], seal: str | None) -> str | None:
    """The state of these files of a trial whose record has this seal; None if one is missing or was just written."""
    states = []
    for name in names:
        try:
            found = (folder / name).stat()
        except OSError:
            return None
        if found.st_ctime > time.time() - SETTLED_SECONDS:
            return None
        states.append((name, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    return sha256(repr((seal, states)).encode()).hexdigest()[:32]
