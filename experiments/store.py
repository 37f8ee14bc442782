"""Finished trials by key, so that studies share them and a stopped sweep can resume.

`<root>/<key>/` holds the training's checkpoint, pictures/, found.json (which annotations its detections find),
detections.json.gz (from which metrics can be computed again) and, once the trial is finished, record.json. failed.json
holds the record of the last attempt that raised.
`<root>/runs/<study>.json` maps the study's trials to their MLflow runs.

A record is sealed when it is written and holds the SHA-256 of the other files but the checkpoint. What was edited or
damaged since counts as missing: a finished trial runs again, which takes seconds where its checkpoint is whole.
`<root>/whole.json` remembers which trials were read and found whole (`unchanged`).
"""

import json
import logging
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from core.evaluation.kept_detections import DETECTIONS
from core.files.atomic import write_text
from core.files.json_file import parse_json, read_utf8
from core.files.lock import exclusive
from core.record import Record, read_record
from experiments.sealed_text import sealed_content, sealed_text
from experiments.unchanged import Unchanged, state_of

STORE = Path("store")
FOUND = "found.json"


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._unchanged = Unchanged(self.root / "whole.json")

    def folder(self, key: str) -> Path:
        return self.root / key

    def finished(self, key: str) -> Record | None:
        """Record of a finished trial; None if there is none or it is not whole (a warning says why)."""
        return self._record(key, "record.json", "the trial runs again")

    def is_finished(self, key: str) -> bool:
        """Whether `finished` gives a record. Takes a tenth of the time where the record is as it was sealed."""
        path = self.folder(key) / "record.json"
        try:
            content = sealed_content(path.read_text())
            if content is not None:
                self._check(Record.model_construct(**content), key, path)  # its writer has validated it
                return True
        except (OSError, ValueError):
            pass
        return self.finished(key) is not None

    def failed(self, key: str) -> Record | None:
        """Record of the last attempt that raised, unless the trial has finished since; None if it is not whole."""
        return self._record(key, "failed.json", "how the trial failed is not known")

    def keys(self) -> list[str]:
        """Keys of the trials that have a record of their end, in order; `read` says whether it is whole."""
        return sorted(path.parent.name for path in self.root.glob("*/record.json"))

    def read(self, key: str, name: str = "record.json") -> Record:
        """Record of a trial.

        Raises:
            ValueError: if it is missing or not whole; names the file.
        """
        path = self.folder(key) / name
        record = _read(path)
        self._check(record, key, path)
        return record

    def remember_whole(self) -> None:
        """Keep for later commands which trials were found whole: while nobody writes them, they are not read again."""
        self._unchanged.save()

    def _check(self, record: Record, key: str, path: Path) -> None:
        """Raise a ValueError for a record that is of another trial, incomplete, or not the one that was written.

        The files beside it are read unless they are as they were when they were last read.
        """
        _check_content(record, key, path)
        if record.status != "ok":
            return
        kept = [DETECTIONS] if DETECTIONS in record.files else []  # earlier versions kept none
        names = [FOUND, *kept, *(f"pictures/{name}" for name in record.pictures)]
        state = state_of(path.parent, names, record.sha256)
        if not self._unchanged.knows(key, state):
            for name in names:
                _check_file(path.parent / name, record.files.get(name), path)
            self._unchanged.note(key, state)

    def _record(self, key: str, name: str, consequence: str) -> Record | None:
        if not (self.folder(key) / name).exists():
            return None
        try:
            return self.read(key, name)
        except ValueError as error:
            logging.warning("ignoring a record that is not whole, %s: %s", consequence, error)
            return None

    def found(self, key: str) -> dict[int, float | None]:
        """Of a finished trial: the score of the detection that finds each annotation, None if none does.

        Raises:
            ValueError: if the file cannot be read or is damaged; names it.
        """
        path = self.folder(key) / FOUND
        content = parse_json(read_utf8(path), path)
        try:
            return {int(place): None if score is None else float(score) for place, score in content.items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{path}: expected scores by annotation, found {content!r:.60}") from error

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Wait until no other process runs this trial, and block the others meanwhile.

        A worker outlives its killed driver by seconds and would write to the same folder as the next sweep's worker.
        """
        with exclusive(self.root / "locks" / key):
            yield

    def write(self, record: Record) -> None:
        """Seal a record and save it under its key; the file is written in full or not at all.

        What the trial wrote beside it must be there.
        """
        folder = self.folder(record.key)
        if record.status == "ok":
            names = [FOUND, DETECTIONS, *(f"pictures/{name}" for name in record.pictures)]
            record = record.changed(files={name: _digest(folder / name) for name in names})
            write_text(folder / "record.json", sealed_text(record))
            (folder / "failed.json").unlink(missing_ok=True)
        else:
            write_text(folder / "failed.json", sealed_text(record))

    def keep_run_ids(self, study: str, run_ids: dict[str, str]) -> bool:
        """Save MLflow run ids of a study's trials, by trial key; returns whether one of them is new."""
        before = self.run_ids(study)
        self._write_run_ids(study, before | run_ids)
        return before | run_ids != before

    def run_ids(self, study: str) -> dict[str, str]:
        """The MLflow run ids that were saved of a study's trials, by trial key.

        Ids that cannot be read are left out with a warning: no result depends on them.
        """
        path = self._run_ids_path(study)
        if not path.exists():
            return {}
        try:
            content = parse_json(read_utf8(path), path)
            if not isinstance(content, dict) or not all(isinstance(run_id, str) for run_id in content.values()):
                raise ValueError(f"{path}: expected run ids by trial key, found {content!r:.60}")
        except ValueError as error:
            logging.warning("the results name no MLflow runs; run the study to write their ids again: %s", error)
            return {}
        return content

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


def _read(path: Path) -> Record:
    """`read_record`, in less time where the seal fits."""
    content = sealed_content(read_utf8(path))
    if content is not None:
        with suppress(ValidationError):
            return Record.model_validate(content)
    return read_record(path)


def _check_content(record: Record, key: str, path: Path) -> None:
    if record.sha256 is None:
        raise ValueError(f"{path}: has no sha256 of its content, expected one as in every record of the store")
    if not key == record.key == record.expected_key:
        raise ValueError(f"{path}: key {record.key}, expected {record.expected_key}")
    if record.status != "ok":
        return
    epochs = [numbers.get("epoch") for numbers in record.curves]
    last = record.curves[-1].get("epochs") if record.curves else None
    if not epochs or last != len(epochs) or epochs != list(range(1, len(epochs) + 1)):
        raise ValueError(f"{path}: curves of epochs {epochs}, expected 1 to {last}")


def _check_file(file: Path, expected: str | None, path: Path) -> None:
    try:
        found = _digest(file)
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror})") from error
    if found != expected:
        raise ValueError(f"{file}: changed since it was written: its SHA-256 is not the one in {path.name}")


def _digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
