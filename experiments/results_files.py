"""Where a study's results lie, and how they appear whole. Needs no torch, as no study outside of the set does."""

import os
import shutil
from pathlib import Path

from core.files.atomic import write_text
from core.record import study_csv

RESULTS = Path("results")


def write_no_results(study: str, root: Path) -> Path:
    """Write the results of a study outside the set: an empty folder and a table without rows."""
    partial = root / f".{study}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    return replace_results(root, study, partial, study_csv([], ()))


def replace_results(root: Path, study: str, partial: Path, text: str) -> Path:
    """Replace a study's folder and table; a new folder is never left beside an old table."""
    folder, path = root / study, root / f"{study}.csv"
    path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    write_text(path, text)
    return path
