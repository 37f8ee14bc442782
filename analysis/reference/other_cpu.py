"""Seed 0 of a reference on a second type of CPU: `other_cpu/<study>.csv` and `other_cpu/<study>/trials`.

Together with the reference's own trials of the same settings, they show how the type of CPU affects a training. A run
on that type is compared with them.
"""

import csv
import io
import shutil
from pathlib import Path

from analysis.reference.rebuild import copy_records
from analysis.reference.settings import differing_settings
from analysis.reference.trials import OTHER_CPU, read_reference
from core.files.atomic import write_text
from core.files.json_file import read_utf8

SEED = 0


def copy_seed_0(csv_path: Path, reference: Path) -> None:
    """Copy the rows and records of seed 0 of a study, replacing those of the study in `reference`.

    Raises:
        ValueError: if there is no trial of seed 0.
    """
    name, target = csv_path.stem, reference / OTHER_CPU
    reader = csv.DictReader(io.StringIO(read_utf8(csv_path), newline=""))
    rows = [row for row in reader if row["seed"] == str(SEED)]
    if not rows:
        raise ValueError(f"{csv_path}: no trial of seed {SEED}")
    text = io.StringIO()
    writer = csv.DictWriter(text, list(reader.fieldnames or ()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    shutil.rmtree(target / name, ignore_errors=True)
    write_text(target / csv_path.name, text.getvalue())
    copy_records(csv_path.parent / name, target / name, seed=SEED)


def other_cpu_faults(reference: Path, study_name: str) -> list[str]:
    """Why trials of the other type of CPU cannot be paired with the reference's own; one line each.

    Raises:
        ValueError: if a file is malformed.
    """
    place = reference / OTHER_CPU / f"{study_name}.csv"
    found = read_reference(reference, study_name)
    if found is None:
        return [f"{place}: the reference itself has no {study_name}.csv"]
    own = {(trial.arm, trial.seed): trial for trial in found.trials if trial.finished}
    lines = []
    for trial in found.other_cpu:
        where = f"{place}: arm '{trial.arm}', seed {trial.seed}"
        beside = own.get((trial.arm, trial.seed))
        if trial.seed != SEED:
            lines.append(f"{where}: expected only seed {SEED}")
        elif not trial.finished:
            lines.append(f"{where}: has no mask AP: {trial.reason}")
        elif beside is None:
            lines.append(f"{where}: the reference itself has no finished trial for it")
        elif trial.record is not None and beside.record is not None:
            changes = differing_settings(trial.record, beside.record)
            lines += [f"{where}: settings differ from the reference itself: {'; '.join(changes)}"] if changes else []
            if trial.device == beside.device:
                lines.append(f"{where}: ran on {trial.device or 'an unknown device'} like the reference itself")
    devices = sorted({trial.device for trial in found.other_cpu})
    if len(devices) > 1:
        lines.append(f"{place}: trials of several types of CPU: {', '.join(devices)}")
    return lines
