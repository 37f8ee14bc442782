"""What a study writes for the analysis: a table of its trials, their full records, and their pictures."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from core.datasets.coco import load_validation_set
from core.record import Record, study_csv
from experiments.jobs import Job
from experiments.pictures import draw_annotations
from experiments.results.files import new_results, replace_results
from experiments.results.left_out import left_out_records
from experiments.results.quality_table import write_quality
from experiments.sealed_text import sealed_text
from experiments.store import Store
from experiments.study import Study


def write_results(study: Study, jobs: Sequence[Job], records: dict[str, Record], store: Store, root: Path) -> Path:
    """Write `<root>/<study>/` (trials/, pictures/, quality.csv), then `<root>/<study>.csv`; each whole or not at all.

    `records` are by key. The rows of the CSV follow the order of the jobs: by arm, then by seed; those of trials that
    were left out come last.
    """
    of_study = [records[job.key].changed(study=study.name, arm=job.trial.arm) for job in jobs]
    left_out = left_out_records(study, jobs)
    with new_results(root, study.name) as folder:
        (folder / "trials").mkdir()
        for job, record in zip(jobs, of_study, strict=True):
            _write_new(folder / "trials" / f"{record.key}.json", sealed_text(record))
            for picture in record.pictures:
                target = folder / "pictures" / job.trial.name / picture
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(store.folder(record.key) / "pictures" / picture, target)
        for record in left_out:
            _write_new(folder / "trials" / f"{record.key}.json", sealed_text(record))
        write_quality(folder, of_study)
        draw_annotations(load_validation_set(jobs[0].trial.config.data), folder / "pictures" / "ground_truth")
        return replace_results(root, study.name, folder, study_csv([*of_study, *left_out], study.varied))


def _write_new(path: Path, text: str) -> None:
    """Write a file in a folder that nobody reads yet, and flush it to disk; `write_text` would look at all others."""
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
