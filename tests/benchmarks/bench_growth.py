"""What finished trials cost: planning, and a sweep that adds one. `python -m tests.benchmarks growth`.

CPU seconds (user and system), wall time and peak memory of the real commands, in projects of so many trials, all but
one of which are finished in the store (`grown_project`) and in an MLflow of their own (`grown_mlflow`). The sweep
trains the last one in its own process, logs it, and writes the results of all. Some minutes for 5,000 trials.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.benchmarks.form import Line
from tests.benchmarks.grown_mlflow import fill_mlflow, finished_runs
from tests.benchmarks.grown_project import grow, project_environment

TRIALS, QUICK_TRIALS = (500, 5000), (3,)
DRY_RUN = ("--all", "--dry-run")
SWEEP = ("--all", "--in-process")
MOST_DRY, MOST_SWEEP = 10.0, 60.0  # seconds for 5,000 trials; the sweep's beyond its training


@dataclass(frozen=True)
class Used:
    seconds: float  # of CPU
    megabytes: float  # at its peak
    wall_seconds: float


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
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Used(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, wall)


def seconds_of_training(folder: Path) -> float:
    """Of the trial that was trained here, the only one with a checkpoint."""
    (checkpoint,) = folder.glob("store/*/checkpoint.pt")
    return json.loads((checkpoint.parent / "record.json").read_text())["seconds"]


def of_project(trials: int, *, is_bounded: bool) -> list[Line]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        grow(folder, trials)
        first, again = run(folder, DRY_RUN), run(folder, DRY_RUN)
        known = fill_mlflow(folder, trials - 1, project_environment(folder))
        sweep = run(folder, SWEEP)
        beyond = sweep.wall_seconds - seconds_of_training(folder)
        new = finished_runs(folder) - known
        if len(new) != 1 or known - finished_runs(folder):
            raise RuntimeError(
                f"the sweep logged {len(new)} runs to MLflow, expected the one of the trial that it trained"
            )
    most = (MOST_DRY, MOST_SWEEP) if is_bounded else (None, None)
    bound = "at most"
    return [
        Line(f"dry run, {trials} trials, the first", first.seconds, "s of CPU", most[0], bound),
        Line(f"dry run, {trials} trials, again", again.seconds, "s of CPU", most[0], bound),
        Line(f"dry run, {trials} trials, again", again.megabytes, "MB"),
        Line(f"sweep that adds one of {trials} trials, beyond its training", beyond, "s", most[1], bound),
        Line(f"sweep that adds one of {trials} trials", sweep.seconds, "s of CPU"),
        Line(f"sweep that adds one of {trials} trials", sweep.megabytes, "MB"),
    ]


def measure(*, quick: bool) -> list[Line]:
    counts = QUICK_TRIALS if quick else TRIALS
    return [line for trials in counts for line in of_project(trials, is_bounded=trials == max(counts))]
