"""The record of a trial: its inputs, its results, and the key that identifies the training.

The sweep writes records and the analysis reads them; this module does not import torch.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, PlainValidator, ValidationError

from core.config import Config
from core.config.dotted import leaves
from core.config.file import describe
from core.config.identity import training_identity

METRICS = (  # columns of a study's CSV; AP in percent
    "mask_AP",
    "mask_AP50",
    "mask_AP75",
    "mask_APs",
    "mask_APm",
    "mask_APl",
    "box_AP",
    "mask_to_box_area",
)
DIGITS = 4  # decimals of a metric in the CSV; the record keeps every digit
TRIAL_COLUMNS = ("study", "arm", "seed", "trial_key")  # first columns of a row, before the fields that vary
OUTCOME_COLUMNS = (*METRICS, "status", "reason")  # last columns


def trial_key(config: Config | Mapping[str, Any], seed: int, *, data_digest: str, code: str) -> str:
    """Key of a trial, 16 hex digits of the SHA-256 of its `training_identity` and the code that ran it."""
    content = json.dumps([*training_identity(config, seed, data_digest).values(), code], sort_keys=True)
    return sha256(content.encode()).hexdigest()[:16]


def _number_or_none(value: Any) -> int | float | None:
    """Validate a number; None if it is not finite, which JSON cannot express."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number or null")
    return value if math.isfinite(value) else None


Number = Annotated[int | float | None, PlainValidator(_number_or_none)]


class Record(BaseModel):
    """One trial. Fields that this version does not know are kept unchanged.

    The fields are in the order of the file. Those with a default may be missing: not known yet, not stored in this
    place, or not written by the version that ran the trial.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    study: str | None = None  # like `arm`, only set in the results of a study: several studies may share a trial
    arm: str | None = None
    key: str
    status: Literal["ok", "failed"]
    reason: str  # why it failed, one line; empty if it did not
    config: dict[str, Any]  # every setting, nested; a plain dict, since settings change between versions
    seed: int
    data_digest: str
    code: str  # digest of the code and the packages that ran the trial
    git_revision: str | None = None
    git_dirty: bool | None = None
    versions: dict[str, str] = {}  # by package
    device: str | None = None
    precision: str | None = None  # of the network
    threads: int | None = None
    host: str | None = None
    process: int | None = None  # id of the process that trained, on that host
    rank: int | None = None  # of that process among the workers of the training
    metrics: dict[str, Number]  # METRICS and more; None: no annotation to find; empty for a failed trial
    per_class: dict[str, Number] = {}  # mask AP in percent by class name
    curves: list[dict[str, Number]]  # the numbers of each epoch
    pictures: list[str]  # names of PNG files
    seconds: Number = None
    peak_memory_mb: Number = None
    num_train_images: int | None = None
    num_train_instances: int | None = None
    traceback: str | None = None  # of a failure
    mlflow_run_id: str | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """Equal for two records of the same training; see `training_identity`."""
        return training_identity(self.config, self.seed, self.data_digest)

    @property
    def expected_key(self) -> str:
        """The key computed from the other fields; differs from `key` if one of them was edited."""
        return trial_key(self.config, self.seed, data_digest=self.data_digest, code=self.code)

    def changed(self, **fields: Any) -> "Record":
        """A copy with these fields replaced, validated like any record."""
        if unknown := sorted(fields.keys() - Record.model_fields.keys()):
            raise TypeError(f"a record has no field {', '.join(unknown)}")
        return Record.model_validate(self.content() | fields)

    def content(self) -> dict[str, Any]:
        """The content of the file as JSON values: only the fields that were set."""
        return self.model_dump(exclude_unset=True)

    def to_json(self) -> str:
        return json.dumps(self.content(), indent=1, allow_nan=False)

    def row(self, varied: Sequence[str]) -> list[str]:
        """The row of this trial in the CSV of a study; `varied` are the dotted names of the fields that vary.

        Raises:
            ValueError: if a name is not a setting of the trial.
        """
        settings = leaves(self.config)
        if missing := [name for name in varied if name not in settings]:
            raise ValueError(f"trial {self.key} has no setting {', '.join(missing)}")
        metrics = [_rounded(self.metrics.get(name)) for name in METRICS]
        values = [self.study, self.arm, self.seed, self.key, *(settings[name] for name in varied), *metrics]
        return [_cell(value) for value in (*values, self.status, self.reason)]


def study_csv(records: Iterable[Record], varied: Sequence[str]) -> str:
    """The CSV of a study, one row per record; equal records give equal text.

    A failed trial leaves its metrics empty and states its status and reason.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*TRIAL_COLUMNS, *varied, *OUTCOME_COLUMNS])
    writer.writerows(record.row(varied) for record in records)
    return text.getvalue()


def read_record(path: str | Path) -> Record:
    """Read the record of one trial; null means a number that is not finite.

    Raises:
        ValueError: if the file cannot be read or is not a record; names the file, the field, the value found and the
            value expected.
    """
    try:
        content = json.loads(Path(path).read_text())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: found {content!r:.60}, expected a record (a JSON object)")
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        raise ValueError(describe(error, str(path), list(Record.model_fields))) from None


def _rounded(metric: float | None) -> float | None:
    return None if metric is None else round(metric, DIGITS)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return "-".join(map(_cell, value)) if isinstance(value, list) else str(value)
