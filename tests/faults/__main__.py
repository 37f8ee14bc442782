"""Hurt trainings and sweeps in every way that has gone wrong, and list what was lost: `python -m tests.faults`.

Each fault has a small project of its own (128 px images cut to 64, networks of seconds) and the real commands. The
table says how the command ended after the fault, its last line, and what was lost; exit status 1 if a fault ended in
another way than it should. Needs Linux; mounts (full disks, read-only folders) need root.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults import sweep, tracking, training
from tests.faults.project import SWEEP_IN_PROCESS, Done, Project, Unexpected, build

FAULTS = (*training.FAULTS, *sweep.FAULTS, *tracking.FAULTS)
HEADER = "| fault | status | last line | lost |\n|---|---:|---|---|"


def undisturbed(folder: Path) -> Project:
    """The project that nothing happens to: one training and one sweep."""
    project = build(folder)
    project.run(project.train_words()).ended(0)
    project.run(SWEEP_IN_PROCESS).ended(0)
    return project


def row(name: str, done: Done, lost: str, folder: Path) -> str:
    message = "" if done.status < 0 else " ".join(done.message.split()).replace(str(folder), "...").replace("|", "\\|")
    return f"| {name} | {done.status} | {message[:200]} | {lost} |"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="FAULT", help=f"default: all of {[f.__name__ for f in FAULTS]}")
    chosen = parser.parse_args(words).names
    if unknown := set(chosen) - {fault.__name__ for fault in FAULTS}:
        parser.error(f"no fault {', '.join(sorted(unknown))}")
    failures = 0
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        whole = undisturbed(root / "undisturbed")
        print(HEADER, flush=True)
        for fault in FAULTS:
            if chosen and fault.__name__ not in chosen:
                continue
            project = build(root / fault.__name__)
            try:
                done, lost = fault(project, whole)
                print(row(fault.__doc__, done, lost, project.folder), flush=True)
            except Unexpected as error:
                failures += 1
                print(f"| {fault.__doc__} | NOT AS EXPECTED | {error} | |", flush=True)
            shutil.rmtree(project.folder, ignore_errors=True)
    print(f"\n{failures} of {len(chosen or FAULTS)} faults ended in another way than they should")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
