"""Finished trials by what they were made from, so that studies share them and a stopped sweep goes on.

`<root>/<key>/` holds the training's checkpoint, pictures/, found.json (which annotations its detections find), and at
the end record.json; without it the trial is not finished. failed.json holds the record of the last attempt that raised.
`<root>/runs/<study>.json` names the MLflow run of each of the study's trials.
"""

import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.config import Config
from core.files.atomic import replaced

STORE = Path("store")
RECORD_KEYS = ("key", "status", "reason", "config", "seed", "data_digest", "code", "curves", "metrics", "pictures")


def trial_key(config: Config, seed: int, *, data_digest: str, code: str) -> str:
    """Content key of a trial, 16 hex digits; the recipe's name and the place of the data do not count."""
    settings = config.model_dump(mode="json", exclude={"name": True, "data": {"root"}})
    content = json.dumps([settings, seed, data_digest, code], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class Store:
    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def folder(self, key: str) -> Path:
        return self.root / key

    def finished(self, key: str) -> dict[str, Any] | None:
        """Record of a finished trial; None where there is none, or none that holds up (a warning says why)."""
        path = self.folder(key) / "record.json"
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text())
            _check(record, key, path.parent)
        except ValueError as error:
            logging.warning("%s is not used, the trial runs again: %s", path, error)
            return None
        return record

    def failed(self, key: str) -> dict[str, Any] | None:
        """Record of the last attempt that raised, unless the trial finished since."""
        path = self.folder(key) / "failed.json"
        return json.loads(path.read_text()) if path.exists() else None

    def found(self, key: str) -> dict[int, float | None]:
        """Of a finished trial: score of the detection that finds each annotation, None where none does."""
        content = json.loads((self.folder(key) / "found.json").read_text())
        return {int(place): score for place, score in content.items()}

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Wait until no other process runs this trial, and keep the others waiting.

        A worker outlives its killed driver by seconds, and would write into the folder beside the next sweep's worker.
        The system ends the lock with the process, whatever ends that.
        """
        path = self.root / "locks" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write(self, record: dict[str, Any]) -> None:
        """Keep a record under its key: the file appears whole or not at all."""
        folder = self.folder(record["key"])
        if record["status"] == "ok":
            write_json(folder / "record.json", record)
            (folder / "failed.json").unlink(missing_ok=True)
        else:
            write_json(folder / "failed.json", record)

    def keep_run_ids(self, study: str, run_ids: dict[str, str]) -> None:
        """Note the MLflow runs of a study's trials, by trial key."""
        write_json(self.root / "runs" / f"{study}.json", run_ids)

    def run_ids(self, study: str) -> dict[str, str]:
        """The MLflow runs that the last sweep over a study noted, by trial key; empty without one."""
        path = self.root / "runs" / f"{study}.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def forget_failure(self, key: str) -> None:
        (self.folder(key) / "failed.json").unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """Remove everything of a trial, its checkpoint included."""
        shutil.rmtree(self.folder(key), ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write strict JSON (NaN becomes null); the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as partial:
        partial.write_text(json.dumps(without_nan(content), indent=1, allow_nan=False))


def without_nan(content: Any) -> Any:
    """The same content with None for numbers that are not finite, which JSON does not know."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [without_nan(value) for value in content]
    if isinstance(content, float) and content - content != 0:
        return None
    return content


def _check(record: Any, key: str, folder: Path) -> None:
    """Refuse a record that is not the whole story of this trial."""
    missing = [name for name in RECORD_KEYS if not isinstance(record, dict) or name not in record]
    if missing:
        raise ValueError(f"keys missing: {', '.join(missing)}")
    config = Config.model_validate(record["config"])
    expected = trial_key(config, record["seed"], data_digest=record["data_digest"], code=record["code"])
    if not key == record["key"] == expected:
        raise ValueError(f"key {record['key']}, expected {expected}")
    epochs = [numbers.get("epoch") for numbers in record["curves"]]
    last = record["curves"][-1].get("epochs") if record["curves"] else None
    if not epochs or epochs != list(range(1, last + 1)):
        raise ValueError(f"curves of epochs {epochs}, expected 1 to {last}")
    files = ["found.json", *(f"pictures/{name}" for name in record["pictures"])]
    lost = [name for name in files if not (folder / name).exists()]
    if lost:
        raise ValueError(f"files missing: {', '.join(lost)}")
