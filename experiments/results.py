"""What a study leaves for the analysis: a table of its trials, their whole records, and their pictures."""

import csv
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.datasets.coco import load_validation_set
from core.files.atomic import replaced
from experiments.pictures import draw_annotations
from experiments.store import Store, write_json
from experiments.study import Study
from experiments.sweep import Job

METRICS = (
    "mask_AP",
    "mask_AP50",
    "mask_AP75",
    "mask_APs",
    "mask_APm",
    "mask_APl",
    "box_AP",
    "mask_to_box_area",
)
RESULTS = Path("results")
DIGITS = 4  # after the point; the records keep every digit


def table(study: Study, jobs: Sequence[Job], records: dict[str, dict[str, Any]]) -> str:
    """CSV of a study, one row a trial in the order of arms and seeds; equal trials give equal text.

    A failed trial is a hole: no metrics, its status and its reason.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["study", "arm", "seed", "trial_key", *study.varied, *METRICS, "status", "reason"])
    for job in jobs:
        trial, record = job.trial, records[job.key]
        metrics = [_cell(_rounded(record["metrics"].get(name))) for name in METRICS]
        varied = [_cell(trial.varied[field]) for field in study.varied]
        writer.writerow(
            [study.name, trial.arm, trial.seed, job.key, *varied, *metrics, record["status"], record["reason"]]
        )
    return text.getvalue()


def write_results(
    study: Study, jobs: Sequence[Job], records: dict[str, dict[str, Any]], store: Store, root: Path
) -> Path:
    """Write `<root>/<study>/` (trials/, pictures/), then `<root>/<study>.csv`; each appears whole or not at all."""
    partial = root / f".{study.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    for job in jobs:
        record = records[job.key]
        write_json(partial / "trials" / f"{job.key}.json", {"study": study.name, "arm": job.trial.arm} | record)
        for picture in record["pictures"]:
            target = partial / "pictures" / job.trial.name / picture
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.folder(job.key) / "pictures" / picture, target)
    draw_annotations(load_validation_set(jobs[0].trial.config.data), partial / "pictures" / "ground_truth")
    return _replace(root, study.name, partial, table(study, jobs, records))


def write_no_results(study: str, root: Path) -> Path:
    """Write what a study leaves that is not part of the set: an empty folder, and a table without a row."""
    partial = root / f".{study}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    header = ",".join(["study", "arm", "seed", "trial_key", *METRICS, "status", "reason"])
    return _replace(root, study, partial, f"{header}\n")


def _replace(root: Path, study: str, partial: Path, text: str) -> Path:
    """Put a study's new folder and table in the place of the old ones; never a new folder beside an old table."""
    folder, path = root / study, root / f"{study}.csv"
    path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    with replaced(path) as whole:
        whole.write_text(text)
    return path


def _rounded(metric: float | None) -> float | None:
    return None if metric is None else round(metric, DIGITS)


def _cell(value: Any) -> str:
    if value is None or value != value:  # no value, or NaN
        return ""
    return "-".join(map(_cell, value)) if isinstance(value, list | tuple) else str(value)
