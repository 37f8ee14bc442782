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

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainValidator, StringConstraints, ValidationError

from core.config import Config
from core.config.dotted import leaves
from core.config.file import describe
from core.config.identity import training_identity
from core.config.names import checked_name
from core.files.json_file import parse_json, read_utf8

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
MASK_QUALITY = (  # of detections whose box is right; no percent, like the next
    "mask_iou",
    "mask_iou_median",
    "matched_boxes",
    "filled_box_share",
    "true_filled_box_share",
    "mask_fragments",
)
PSEUDO_MASK_QUALITY = ("pseudo_mask_iou", "pseudo_mask_iou_median")
QUALITY = (  # of masks, columns of a study's quality.csv; boundary AP in percent
    "boundary_AP",
    "boundary_AP50",
    "boundary_AP75",
    *MASK_QUALITY,
    *PSEUDO_MASK_QUALITY,
)
DIGITS = 4  # decimals of a metric in the CSV; the record keeps every digit
TRIAL_COLUMNS = ("study", "arm", "seed", "trial_key")  # first columns of a row, before the fields that vary
OUTCOME_COLUMNS = (*METRICS, "status", "reason")  # last columns


def trial_key(config: Config | Mapping[str, Any], seed: int, *, data_digest: str, code: str, workers: int = 1) -> str:
    """Key of a trial, 16 hex digits of the SHA-256 of its `training_identity` and the code that ran it.

    Several workers count: each takes a whole batch of its own.
    """
    together = [f"{workers} workers"] if workers > 1 else []
    content = json.dumps([*training_identity(config, seed, data_digest).values(), code, *together], sort_keys=True)
    return sha256(content.encode()).hexdigest()[:16]


def _number_or_none(value: Any) -> int | float | None:
    """Validate a number; None if it is not finite, which JSON cannot express."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("expected a number or null")
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        raise ValueError("expected a number that a float can hold") from None


Number = Annotated[int | float | None, PlainValidator(_number_or_none)]
PictureName = Annotated[str, StringConstraints(pattern=r"^[\w-]+\.png$", max_length=100)]  # part of a path


def _with_recipe(config: dict[str, Any]) -> dict[str, Any]:
    """Validate the one setting that reports read by itself: the name of the recipe, if there is one."""
    if "name" in config:
        checked_name("recipe", config["name"])
    return config


class Record(BaseModel):
    """One trial. Fields that this version does not know are kept unchanged.

    The fields are in the order of the file. Those with a default may be missing: not known yet, not stored in this
    place, or not written by the version that ran the trial. `sealed` records show every edit of their file.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    study: str | None = None  # like `arm`, only set in the results of a study: several studies may share a trial
    arm: str | None = None
    key: str
    status: Literal["ok", "failed"]
    reason: str  # why it failed, one line; empty if it did not
    # every setting, nested; a plain dict, since settings change between versions
    config: Annotated[dict[str, Any], AfterValidator(_with_recipe)]
    seed: int
    data_digest: str
    code: str  # digest of the code and the packages that ran the trial
    git_revision: str | None = None
    git_dirty: bool | None = None
    versions: dict[str, str] = {}  # by package
    host: str | None = None  # of the process that ran the trial; like the next two, no part of the key or of a table
    process: int | None = None  # its id on the host
    rank: int | None = None  # among the workers of the training
    workers: int | None = None  # processes that trained together, if there were several; part of the key
    device: str | None = None
    precision: str | None = None  # of the network
    threads: int | None = None
    metrics: dict[str, Number]  # METRICS, QUALITY and more; None: nothing to measure; empty for a failed trial
    rescored: dict[str, str] = {}  # digest of the code that computed a metric later, from kept detections; by metric
    per_class: dict[str, Number] = {}  # mask AP in percent by class name
    curves: list[dict[str, Number]]  # the numbers of each epoch
    pictures: list[PictureName]  # names of PNG files
    seconds: Number = None  # of the training with its evaluations, and of what is measured and drawn after it
    peak_memory_mb: Number = None
    num_train_images: int | None = None
    num_train_instances: int | None = None
    validation_file: str | None = None  # SHA-256 of the annotation file that the detections were evaluated on
    traceback: str | None = None  # of a failure
    mlflow_run_id: str | None = None
    files: dict[str, str] = {}  # SHA-256 of what the trial wrote beside its record, by path
    sha256: str | None = None  # of all the rest of this file, see `sealed`

    @property
    def identity(self) -> dict[str, Any]:
        """Equal for two records of the same training; see `training_identity`."""
        together = {"workers": self.workers} if self.workers else {}
        return training_identity(self.config, self.seed, self.data_digest) | together

    @property
    def expected_key(self) -> str:
        """The key computed from the other fields; differs from `key` if one of them was edited."""
        made_from = {"data_digest": self.data_digest, "code": self.code, "workers": self.workers or 1}
        return trial_key(self.config, self.seed, **made_from)

    def changed(self, **fields: Any) -> "Record":
        """A copy with these fields replaced, validated like any record; it is no longer sealed."""
        if unknown := sorted(fields.keys() - Record.model_fields.keys()):
            raise TypeError(f"a record has no field {', '.join(unknown)}")
        return Record.model_validate({k: v for k, v in self.content().items() if k != "sha256"} | fields)

    def sealed(self) -> "Record":
        """A copy with the SHA-256 of its own text, without which `read_record` takes any content."""
        open_copy = self.changed()
        return open_copy.changed(sha256=sha256(open_copy.to_json().encode()).hexdigest())

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
        # the value of some settings may be a section, as of `supervision.pseudo_masks`: the values in it
        sections = {name: [settings[place] for place in settings if place.startswith(f"{name}.")] for name in varied}
        if missing := [name for name in varied if name not in settings and not sections[name]]:
            raise ValueError(f"trial {self.key} has no setting {', '.join(missing)}")
        metrics = [_rounded(self.metrics.get(name)) for name in METRICS]
        chosen = [settings.get(name, sections[name]) for name in varied]
        values = [self.study, self.arm, self.seed, self.key, *chosen, *metrics]
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

    A sealed record must be what it was when it was sealed, to the byte. Those from before there were seals, without
    `files`, are read as they are: those of `reference/` have checksums beside them.

    Raises:
        ValueError: if the file cannot be read, is not a record or was changed since it was sealed; names the file, the
            field, the value found and the value expected.
    """
    text = read_utf8(Path(path))
    content = parse_json(text, Path(path))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: found {content!r:.60}, expected a record (a JSON object)")
    try:
        record = Record.model_validate(content)
        written, _ = record.to_json(), record.expected_key
    except ValidationError as error:
        raise ValueError(describe(error, str(path), list(Record.model_fields))) from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not the content of a record: {error}") from error
    if record.model_fields_set & {"files", "sha256"} and not text == written == record.sealed().to_json():
        raise ValueError(f"{path}: changed since it was written: its content does not have the sha256 {record.sha256}")
    return record


def spreadsheet_text(text: str) -> str:
    """Text as a cell that no spreadsheet takes for a formula: a `'` before `=`, `+`, `-`, `@` at its start.

    A number keeps its sign, and a lone `-` stays.
    """
    if not text.startswith(("=", "+", "-", "@", "\t", "\r")) or text == "-":
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def _rounded(metric: float | None) -> float | None:
    return None if metric is None else round(metric, DIGITS)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return spreadsheet_text("-".join(map(_cell, value)) if isinstance(value, list) else str(value))
