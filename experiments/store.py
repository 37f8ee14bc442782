"""Finished trials by key, so that studies share them and a stopped sweep can resume.

`<root>/<key>/` holds the training's checkpoint, pictures/, found.json (which annotations its detections find) and, once
the trial is finished, record.json. failed.json holds the record of the last attempt that raised.
`<root>/runs/<study>.json` maps the study's trials to their MLflow runs.
"""

import fcntl
import json
import logging
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.files.atomic import write_text
from core.record import Record, read_record

STORE = Path("store")


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, key: str) -> Path:
        return self.root / key

    def finished(self, key: str) -> Record | None:
        """Record of a finished trial; None if there is none or it is invalid (a warning says why)."""
        path = self.folder(key) / "record.json"
        if not path.exists():
            return None
        try:
            record = read_record(path)
            _check(record, key, path)
        except ValueError as error:
            logging.warning("ignoring an invalid record, the trial runs again: %s", error)
            return None
        return record

    def failed(self, key: str) -> Record | None:
        """Record of the last attempt that raised, unless the trial has finished since.

        Raises:
            ValueError: if the file is not a record.
        """
        path = self.folder(key) / "failed.json"
        return read_record(path) if path.exists() else None

    def found(self, key: str) -> dict[int, float | None]:
        """Of a finished trial: the score of the detection that finds each annotation, None if none does."""
        content = json.loads((self.folder(key) / "found.json").read_text())
        return {int(place): score for place, score in content.items()}

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Wait until no other process runs this trial, and block the others meanwhile.

        A worker outlives its killed driver by seconds and would write to the same folder as the next sweep's worker.
        The operating system releases the lock when the process ends, however it ends.
        """
        path = self.root / "locks" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write(self, record: Record) -> None:
        """Save a record under its key; the file is written in full or not at all."""
        folder = self.folder(record.key)
        if record.status == "ok":
            write_text(folder / "record.json", record.to_json())
            (folder / "failed.json").unlink(missing_ok=True)
        else:
            write_text(folder / "failed.json", record.to_json())

    def keep_run_ids(self, study: str, run_ids: dict[str, str]) -> bool:
        """Save MLflow run ids of a study's trials, by trial key; returns whether one of them is new."""
        before = self.run_ids(study)
        self._write_run_ids(study, before | run_ids)
        return before | run_ids != before

    def run_ids(self, study: str) -> dict[str, str]:
        """The MLflow run ids that were saved of a study's trials, by trial key."""
        path = self._run_ids_path(study)
        return json.loads(path.read_text()) if path.exists() else {}

    def limit_run_ids(self, study: str, keys: Collection[str]) -> None:
        """Forget the MLflow runs of all trials of a study but these."""
        self._write_run_ids(study, {key: run for key, run in self.run_ids(study).items() if key in keys})

    def _write_run_ids(self, study: str, run_ids: dict[str, str]) -> None:
        write_text(self._run_ids_path(study), json.dumps(run_ids, indent=1))

    def _run_ids_path(self, study: str) -> Path:
        return self.root / "runs" / f"{study}.json"

    def forget_failure(self, key: str) -> None:
        (self.folder(key) / "failed.json").unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Remove everything the store has of a trial, including its checkpoint."""
        shutil.rmtree(self.folder(key), ignore_errors=True)


def _check(record: Record, key: str, path: Path) -> None:
    """Raise a ValueError for a record that is of another trial or incomplete."""
    if not key == record.key == record.expected_key:
        raise ValueError(f"{path}: key {record.key}, expected {record.expected_key}")
    epochs = [numbers.get("epoch") for numbers in record.curves]
    last = record.curves[-1].get("epochs") if record.curves else None
    if not epochs or epochs != list(range(1, int(last or 0) + 1)):
        raise ValueError(f"{path}: curves of epochs {epochs}, expected 1 to {last}")
    files = ["found.json", *(f"pictures/{name}" for name in record.pictures)]
    lost = [name for name in files if not (path.parent / name).exists()]
    if lost:
        raise ValueError(f"{path}: missing files in its folder: {', '.join(lost)}")
