"""What a run has done so far, a line of JSON for each photo: an interrupted run goes on where it stopped."""

import hashlib
import json
from pathlib import Path
from typing import Any

from core.config.identity import differences
from core.files.atomic import replaced

PROGRESS = ".annotate.jsonl"  # in the output folder
LINES = {("written",): str, ("task",): dict, ("photo", "stamp", "found"): str}  # keys: type of the first value


class ProgressFile:
    """The results of a run by photo, and the digests of the annotation files that this folder was given.

    `task` says what a run does; the results of another task are not taken up, and `changed` says how it differed.
    The file is written from `start` on, each result at once, so that even a killed process loses only its last photo.
    After `finish` only the digests are left.
    """

    def __init__(self, folder: Path, task: dict[str, Any]) -> None:
        self.path = folder / PROGRESS
        self.task = task
        self.digests: set[str] = set()  # SHA-256
        self.results: dict[str, tuple[list[int], Any]] = {}  # by photo: its stamp and what was found
        self.changed: list[str] = []
        for line in self._lines():
            if "written" in line:
                self.digests.add(line["written"])
            elif "task" in line:
                self.changed = differences(line["task"], task)
            elif not self.changed:
                self.results[line["photo"]] = (line["stamp"], line["found"])

    def _lines(self) -> list[dict[str, Any]]:
        """The lines of the file; without those that a full disk or a killed process left incomplete."""
        lines = []
        for text in self.path.read_bytes().split(b"\n") if self.path.exists() else ():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            kind = LINES.get(tuple(line)) if isinstance(line, dict) else None
            if kind is not None and isinstance(next(iter(line.values())), kind):
                lines.append(line)
        return lines

    def start(self) -> None:
        self._write([{"task": self.task}, *(_line(photo, *result) for photo, result in self.results.items())])

    def found(self, photo: str, stamp: list[int]) -> Any:
        """What was found in a photo; None if it is still to do, or was another file then."""
        earlier, found = self.results.get(photo, (None, None))
        return found if earlier == stamp else None

    def add(self, photo: str, stamp: list[int], found: Any) -> None:
        self.results[photo] = (stamp, found)
        self._append(_line(photo, stamp, found))

    def about_to_write(self, content: bytes) -> None:
        """Note an annotation file before it is written: whatever happens then, it is known as ours."""
        digest = hashlib.sha256(content).hexdigest()
        self.digests.add(digest)
        self._append({"written": digest})

    def finish(self) -> None:
        self._write([])

    def wrote(self, path: Path) -> bool:
        """Whether a file is, unchanged, one that a run with this folder wrote."""
        return hashlib.sha256(path.read_bytes()).hexdigest() in self.digests

    def _append(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as file:
            file.write("\n" + json.dumps(line))  # on a line of its own, even if the one before was cut

    def _write(self, lines: list[dict[str, Any]]) -> None:
        every = [*({"written": digest} for digest in sorted(self.digests)), *lines]
        with replaced(self.path) as partial:
            partial.write_text("\n".join(map(json.dumps, every)))


def stamp(path: Path) -> list[int]:
    """Size and time of a file, by which another file of the same name is told apart; empty if there is none."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return []
    return [status.st_size, status.st_mtime_ns]


def _line(photo: str, of_file: list[int], found: Any) -> dict[str, Any]:
    return {"photo": photo, "stamp": of_file, "found": found}
