"""How much of a sweep is training: `python -m tests.benchmarks.bench_sweep`; several minutes, on a quiet machine.

Runs one study of short trainings on the smoke images by the real command, each trial on one core, and prints the share
of the slots' time in which a trial trained or was evaluated: the sum of the trials' seconds over slots times wall time.
The rest is the start of Ray and of the processes, and the time between two trials. `--root` measures another checkout.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.form import Line, tell

ROOT = Path(__file__).parent.parent.parent
BAR = 0.9  # for trials of a minute
STUDY = """
question: How much of a sweep is training?
source: none
expectation: none
arms: {boxes: {supervision.mask_ratio: 0, loss.dice: 0}}
"""


def build(folder: Path, root: Path, *, trials: int, slots: int, steps: int) -> None:
    """Write a project whose sweep has `trials` equal trainings, which differ in their seeds."""
    for name in ("core", "experiments"):
        shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "experiments" / "studies" / "bench.yaml").write_text(STUDY)
    (folder / "experiments" / "sets" / "bench.yaml").write_text("recipe: tiny\nstudies: [bench]\n")
    (folder / "datasets").mkdir()
    (folder / "datasets" / "bench").symlink_to(ROOT / "datasets" / "smoke")
    settings = {"training.steps": steps}
    resources = {"parallel_trials": slots}
    params = {"set": "bench", "seeds": list(range(trials)), "settings": settings, "resources": resources}
    (folder / "params.yaml").write_text(json.dumps(params))


def run(folder: Path) -> tuple[float, list[tuple[float, str]]]:
    """Seconds of the command, and its lines, each with the time at which it came."""
    started = time.perf_counter()
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "experiments.run", "--all", "--train-only"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    lines = [(time.perf_counter() - started, line) for line in process.stdout]
    if process.wait() != 0:
        sys.exit(f"the sweep ended with status {process.returncode}")
    return time.perf_counter() - started, lines


def gaps(lines: list[tuple[float, str]], slots: int) -> list[float]:
    """Seconds between the end of a trial and the start of the one that takes its slot, in order of the starts."""
    starts = [when for when, line in lines if " starting " in line]
    ends = [when for when, line in lines if re.search(r"\(\d+ of \d+ done\)", line)]
    return [start - end for start, end in zip(starts[slots:], ends[:-slots], strict=True)]


def measure(*, quick: bool, trials: int = 8, slots: int = 2, steps: int = 3600, root: Path = ROOT) -> list[Line]:
    """Efficiency of a sweep of equal trials of so many steps, one core each, and what the rest is."""
    if quick:
        trials, slots, steps = 2, 1, 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, root, trials=trials, slots=slots, steps=steps)
        wall, lines = run(folder)
        records = [json.loads(path.read_text()) for path in sorted(folder.glob("store/*/record.json"))]
    seconds = sum(record["seconds"] for record in records)
    starts = [when for when, line in lines if " starting " in line]
    ends = [when for when, line in lines if re.search(r"\(\d+ of \d+ done\)", line)]
    between = gaps(lines, slots)
    peaks = [record["peak_memory_mb"] for record in records]
    what = f"sweep of {trials} trials of {seconds / trials:.1f} s on {slots} slots"
    return [
        Line(f"{what}: efficiency, trial seconds / (slots x wall)", seconds / slots / wall, "", BAR, "at least"),
        Line("- from the first start to the last end", seconds / slots / (ends[-1] - starts[0]), ""),
        Line("- wall time of the command", wall, "s"),
        Line("- until the first trial starts", starts[0], "s"),
        Line("- longest time between two trials of a slot", max(between), "s"),
        Line("- peak memory of a trial, the least", min(peaks), "MiB"),
        Line("- peak memory of a trial, the most", max(peaks), "MiB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--slots", type=int, default=2, help="trials at once; one core each")
    parser.add_argument("--steps", type=int, default=3600, help="of each training, a minute or more")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure (default: this one)")
    tell(measure(quick=False, **vars(parser.parse_args())))


if __name__ == "__main__":
    main()
