"""What a study leaves for the analysis: a table of its trials, their whole records, and their pictures."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.datasets.coco import load_validation_set
from core.files.atomic import write_text
from core.record import Record, study_csv
from experiments.pictures import draw_annotations
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import Job

RESULTS = Path("results")


def write_results(study: Study, jobs: Sequence[Job], records: dict[str, Record], store: Store, root: Path) -> Path:
    """Write `<root>/<study>/` (trials/, pictures/), then `<root>/<study>.csv`; each appears whole or not at all.

    `records` are by key. The rows of the CSV are in the order of the jobs: of arms and seeds.
    """
    partial = root / f".{study.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    of_study = [records[job.key].changed(study=study.name, arm=job.trial.arm) for job in jobs]
    for job, record in zip(jobs, of_study, strict=True):
        write_text(partial / "trials" / f"{record.key}.json", record.to_json())
        for picture in record.pictures:
            target = partial / "pictures" / job.trial.name / picture
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(store.folder(record.key) / "pictures" / picture, target)
    draw_annotations(load_validation_set(jobs[0].trial.config.data), partial / "pictures" / "ground_truth")
    return _replace(root, study.name, partial, study_csv(of_study, study.varied))


def write_no_results(study: str, root: Path) -> Path:
    """Write what a study leaves that is not part of the set: an empty folder, and a table without a row."""
    partial = root / f".{study}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return _replace(root, study, partial, study_csv([], ()))


def _replace(root: Path, study: str, partial: Path, text: str) -> Path:
    """Put a study's new folder and table in the place of the old ones; never a new folder beside an old table."""
    folder, path = root / study, root / f"{study}.csv"
    path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    write_text(path, text)
    return path
