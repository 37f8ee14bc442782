"""Facts that take seconds to find out, kept in a file of the project from one plan to the next.

Each is kept under a digest of everything that it depends on, and looked up by nothing else: whatever changes, the fact
is found out again. The file may be removed at any time; a damaged one counts as empty.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from core.config import Frozen
from core.files.atomic import write_text
from core.files.json_file import parse_json, read_utf8

Fact = TypeVar("Fact", bound=Frozen)

MOST_FACTS = 5000


class Remembered:
    """The facts in a file; None: none before, and none kept."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._facts: dict[str, Any] = {}
        self._is_new = False
        if path is not None:
            with suppress(ValueError):
                content = parse_json(read_utf8(path), path)
                self._facts = content if isinstance(content, dict) else {}

    def fact(self, kind: type[Fact], depends_on: list[Any], find_out: Callable[[], Fact]) -> Fact:
        """The fact of this kind that depends on these JSON values; `find_out` is called if it is not known.

        Raises:
            ValueError: as `find_out`; then nothing is kept.
        """
        key = sha256(json.dumps([kind.__name__, depends_on]).encode()).hexdigest()[:32]
        if key in self._facts:
            with suppress(ValidationError):
                return kind.model_validate(self._facts[key])
        found = find_out()
        self._facts[key] = found.model_dump()
        self._is_new = True
        return found

    def save(self) -> None:
        """Write the file if there is something new; not where the folder takes no files, since no result needs it."""
        if self._path is not None and self._is_new:
            newest = dict(list(self._facts.items())[-MOST_FACTS:])
            with suppress(OSError):
                write_text(self._path, json.dumps(newest))
            self._is_new = False
