"""Rebuild a study's CSV from the records of its trials, and find inconsistencies within a record."""

import csv
import io
import math
from pathlib import Path

from analysis.results import COLUMNS
from core.files.atomic import write_text
from core.record import Record, read_record, study_csv

SAME = 1e-6  # AP; the order of summation changes the last digits of a mean


def read_trials(study_folder: Path) -> dict[Path, Record]:
    """The records of all trials of a study, including failed ones, by file.

    Raises:
        ValueError: if a record is malformed; names the file.
    """
    return {path: read_record(path) for path in sorted((study_folder / "trials").glob("*.json"))}


def copy_records(study_folder: Path, target: Path, *, seed: int | None = None) -> None:
    """Copy the records of a study's trials, of one seed or of all, without host and process: these describe no result.

    Raises:
        ValueError: if a record is malformed; names the file.
    """
    for path, record in read_trials(study_folder).items():
        if seed in (None, record.seed):
            kept = record if record.host is None else record.changed(host=None, process=None).sealed()
            write_text(target / "trials" / path.name, kept.to_json())


def contradictions(path: Path, record: Record) -> list[str]:
    """What in a record does not match its key, its folder or its other numbers; one line each.

    The key covers config, seed, data digest and code digest, except for the recipe's name and the paths of files (see
    `training_identity`). The metrics must equal the last epoch of the curves, and the mask AP the mean over classes.
    """
    lines = []
    if not path.stem == record.key == record.expected_key:
        lines.append(
            f"{path}: key {record.key}, but its config, seed, data and code digest give the key {record.expected_key}: "
            "one of them was edited"
        )
    if record.study != path.parent.parent.name:
        lines.append(f"{path}: study '{record.study}', expected '{path.parent.parent.name}'")
    last = record.curves[-1] if record.curves else {}
    for name, value in record.metrics.items():
        if name in last and last[name] != value:
            lines.append(f"{path}: metrics.{name} is {value}, but the last epoch of the curves has {last[name]}")
    classes = [value for value in record.per_class.values() if value is not None]
    mask_ap = record.metrics.get("mask_AP")
    mean = sum(classes) / max(len(classes), 1)
    if classes and mask_ap is not None and not math.isclose(mean, mask_ap, abs_tol=SAME):
        lines.append(f"{path}: metrics.mask_AP is {mask_ap}, but the mean of per_class is {mean}")
    return lines


def rebuild_csv(committed: str, records: list[Record]) -> str:
    """The CSV of these records, with the order of trials and the varied fields of the committed one.

    Records whose arm and seed are not in the CSV come last; rows without a record are omitted.

    Raises:
        ValueError: if the header lacks a required column, or a record lacks a varied field.
    """
    reader = csv.DictReader(io.StringIO(committed))
    header = list(reader.fieldnames or ())
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise ValueError(f"columns missing: {', '.join(missing)}")
    varied = [name for name in header if name not in COLUMNS]
    places = {(row["arm"], row["seed"]): place for place, row in enumerate(reader)}
    ordered = sorted(records, key=lambda record: places.get((record.arm, str(record.seed)), len(places)))
    return study_csv(ordered, varied)
