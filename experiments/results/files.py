"""Where a study's results lie, and how they appear whole. Needs no torch, as no study outside of the set does."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.files.atomic import write_text
from core.files.lock import exclusive
from core.record import study_csv

RESULTS = Path("results")


def write_no_results(study: str, root: Path) -> Path:
    """Write the results of a study outside the set: an empty folder and a table without rows."""
    with new_results(root, study) as folder:
        return replace_results(root, study, folder, study_csv([], ()))


@contextmanager
def new_results(root: Path, study: str) -> Iterator[Path]:
    """Yield a new folder for a study's results, beside the place where `replace_results` puts it.

    One process at a time writes a study's results; others wait. What is left here of the folder is removed at the end,
    and what a killed process left of its own at the beginning.
    """
    waiting = f"{root / study}: another process writes these results; waiting for it"
    with exclusive(root / f".{study}.lock", while_waiting=waiting) as alone:
        if alone:
            for leftover in root.glob(f".{study}.*.partial"):
                _remove(leftover)
        folder = root / f".{study}.{socket.gethostname()}-{os.getpid()}.partial"
        _remove(folder)
        folder.mkdir()
        try:
            yield folder
        finally:
            _remove(folder)


def replace_results(root: Path, study: str, new: Path, text: str) -> Path:
    """Replace a study's folder and table; a new folder is never left beside an old table.

    Within `new_results`, whose folder is `new`.
    """
    folder, path = root / study, root / f"{study}.csv"
    old = new.with_suffix(".old.partial")
    path.unlink(missing_ok=True)
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    write_text(path, text)
    _remove(old)
    return path


def _remove(path: Path) -> None:
    """Remove a folder or a file, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
