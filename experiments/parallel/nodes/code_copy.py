"""The code for nodes that lack this folder: a copy of what a trial runs, which Ray sends to each node."""

import shutil
from pathlib import Path

from experiments.code_digest import ROOT

PACKAGES = ("core", "experiments")


def copy_code(target: Path) -> Path:
    """Copy the packages that a trial imports into a new folder `target`, for Ray's `working_dir`; returns it.

    Three megabytes. The folder itself may hold any number of results, data sets and photos, and Ray refuses more than
    500 MiB: naming what trials need leaves nothing to exclude. The nodes also keep to this copy when files are edited
    during the sweep.
    """
    for name in PACKAGES:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    return target
