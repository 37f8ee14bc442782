"""Rebuild a study's CSV from the records of its trials, and tell where a record contradicts itself."""

import csv
import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

from analysis.results import METRICS, read_record

IDENTITY = ("study", "arm", "seed", "trial_key")
OUTCOME = (*METRICS, "status", "reason")
DIGITS = 4  # of a metric in the CSV, after the point; the record keeps every digit
SAME = 1e-6  # AP; a mean in another order of its terms differs in the last digits


def trial_key(record: dict[str, Any]) -> str:
    """The content key that a trial with this config, seed, data and code has.

    SHA-256 of the canonical JSON, 16 hex digits; the recipe's name and the place of the data do not count.
    """
    config = {name: value for name, value in record["config"].items() if name != "name"}
    config["data"] = {name: value for name, value in config["data"].items() if name != "root"}
    content = json.dumps([config, record["seed"], record["data_digest"], record["code"]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def read_trials(study_folder: Path) -> dict[Path, dict[str, Any]]:
    """The record of every trial of a study by its file, failed ones too.

    Raises:
        ValueError: if a record is malformed; names the file.
    """
    return {path: read_record(path) for path in sorted((study_folder / "trials").glob("*.json"))}


def contradictions(path: Path, record: dict[str, Any]) -> list[str]:
    """What in a record does not fit its own key, its place or its other numbers; a line each.

    Config, seed, data digest and code digest are held by the key, the metrics by the last epoch of the curves and the
    AP of the classes by their mean, which is the mask AP.
    """
    lacking = [key for key in ("study", "arm", "key", "data_digest", "code", "metrics", "status") if key not in record]
    if lacking or "data" not in record["config"]:
        return [f"{path}: keys missing: {', '.join(lacking) or 'config.data'}"]
    lines = []
    key = trial_key(record)
    if not path.stem == record["key"] == key:
        lines.append(
            f"{path}: key {record['key']}, but its config, seed, data and code digest have the key {key}: "
            "one of them was edited"
        )
    if record["study"] != path.parent.parent.name:
        lines.append(f"{path}: study '{record['study']}', expected '{path.parent.parent.name}'")
    last = record["curves"][-1] if record["curves"] else {}
    for name, value in record["metrics"].items():
        if name in last and last[name] != value:
            lines.append(f"{path}: metrics.{name} is {value}, but the last epoch of the curves has {last[name]}")
    classes = [value for value in record.get("per_class", {}).values() if value is not None]
    mask_ap = record["metrics"].get("mask_AP")
    mean = sum(classes) / max(len(classes), 1)
    if classes and mask_ap is not None and not math.isclose(mean, mask_ap, abs_tol=SAME):
        lines.append(f"{path}: metrics.mask_AP is {mask_ap}, but the mean of per_class is {mean}")
    return lines


def rebuild_csv(committed: str, records: list[dict[str, Any]]) -> str:
    """The CSV that these records give, in the committed one's order of trials and with its varied fields.

    A record whose arm and seed the CSV lacks comes last; a row without a record is left out.

    Raises:
        ValueError: if the header lacks a column that every study has, or a record lacks a varied field.
    """
    reader = csv.DictReader(io.StringIO(committed))
    header = list(reader.fieldnames or ())
    missing = [name for name in (*IDENTITY, *OUTCOME) if name not in header]
    if missing:
        raise ValueError(f"columns missing: {', '.join(missing)}")
    varied = [name for name in header if name not in (*IDENTITY, *OUTCOME)]
    places = {(row["arm"], row["seed"]): place for place, row in enumerate(reader)}
    ordered = sorted(records, key=lambda record: places.get((record["arm"], str(record["seed"])), len(places)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*IDENTITY, *varied, *OUTCOME])
    for record in ordered:
        settings = [_cell(_value_of(record, field)) for field in varied]
        metrics = [_cell(_rounded(record["metrics"].get(name))) for name in METRICS]
        identity = record["study"], record["arm"], record["seed"], record["key"]
        writer.writerow([*identity, *settings, *metrics, record["status"], record["reason"]])
    return text.getvalue()


def _value_of(record: dict[str, Any], field: str) -> Any:
    value: Any = record["config"]
    for part in field.split("."):
        if not isinstance(value, dict) or part not in value:
            raise ValueError(f"trial {record['key']} has no setting {field}, a column of the CSV")
        value = value[part]
    return value


def _rounded(metric: float | None) -> float | None:
    return None if metric is None else round(metric, DIGITS)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return "-".join(map(_cell, value)) if isinstance(value, list) else str(value)
