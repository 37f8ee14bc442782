"""What finished trials cost: planning, and a sweep that adds one. `python -m tests.benchmarks growth`.

CPU seconds (user and system) and peak memory of the real commands, in projects of so many trials, all but one of which
are finished in the store (`grown_project`). The sweep trains the last one in its own process, so that its CPU is
counted too, and logs all of them to an MLflow of their own: the first time those that MLflow lacks, then one.
"""

import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.benchmarks.form import Line
from tests.benchmarks.grown_project import grow, project_environment

TRIALS, QUICK_TRIALS = (500, 5000), (3,)
DRY_RUN = ("--all", "--dry-run")
SWEEP = ("--all", "--in-process")
MOST_DRY, MOST_SWEEP = 10.0, 60.0  # seconds for 5,000 trials; the sweep's beyond its training


@dataclass(frozen=True)
class Used:
    seconds: float  # of CPU
    megabytes: float  # at its peak


def run(folder: Path, words: Sequence[str]) -> Used:
    """What the command `experiments.run` of a project uses.

    Raises:
        CalledProcessError: if it fails.
    """
    with get_context("spawn").Pool(1) as pool:  # a parent of its own, whose only child the command is
        return pool.apply(_run, (folder, words))


def _run(folder: Path, words: Sequence[str]) -> Used:
    command = [sys.executable, "-m", "experiments.run", *words]
    environment = {"PATH": str(Path(sys.executable).parent)} | project_environment(folder)
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def forget_last(folder: Path) -> None:
    """Remove the trial that was trained here, the only one with a checkpoint, from the store of a project."""
    (checkpoint,) = folder.glob("store/*/checkpoint.pt")
    shutil.rmtree(checkpoint.parent)


def of_project(trials: int, *, is_bounded: bool) -> list[Line]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grow(folder, trials)
        first, again = run(folder, DRY_RUN), run(folder, DRY_RUN)
        run(folder, (*SWEEP, "--train-only"))
        run(folder, SWEEP)  # sends what is left to MLflow, however long that takes
        forget_last(folder)
        sweep = run(folder, SWEEP)
    most = (MOST_DRY, MOST_SWEEP) if is_bounded else (None, None)
    bound = "at most"
    return [
        Line(f"dry run, {trials} trials, the first", first.seconds, "s of CPU", most[0], bound),
        Line(f"dry run, {trials} trials, again", again.seconds, "s of CPU", most[0], bound),
        Line(f"dry run, {trials} trials, again", again.megabytes, "MB"),
        Line(f"sweep that adds one of {trials} trials", sweep.seconds, "s of CPU", most[1], bound),
        Line(f"sweep that adds one of {trials} trials", sweep.megabytes, "MB"),
    ]


def measure(*, quick: bool) -> list[Line]:
    counts = QUICK_TRIALS if quick else TRIALS
    return [line for trials in counts for line in of_project(trials, is_bounded=trials == max(counts))]
