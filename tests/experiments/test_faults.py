"""A real sweep by Ray that is killed, interrupted and hurt ends in the results of one that nothing happened to."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from core.compute.command import INTERRUPTED, TERMINATED

ROOT = Path(__file__).parent.parent.parent
STUDY = """
question: q
source: s
expectation: a < b
reference_arm: full
arms:
  wide: {model.pyramid_channels: 1536, training.epochs: 1} # its weights, gradients and moments go beyond MEMORY_GB
  box_mask: {loss.box_mask: 1, loss.dice: 0, loss.projection: 0, loss.pairwise: 0}
  both: {loss.dice: 0}
  full: {supervision.mask_ratio: 1, loss.projection: 0, loss.pairwise: 0}
"""
EPOCHS = 60  # of all arms but `wide`
MEMORY_GB = "2"  # enough for the others
SWEEP = f"""
import argparse, sys
from pathlib import Path
from core.compute.command import run_command
from experiments.params import Params, Resources
from experiments.settings import base_settings
from experiments.run_studies import run_studies
from experiments.study import load_study
settings = {{"training": {{"steps": None, "epochs": {EPOCHS}}}}}
memory = sys.argv[sys.argv.index("--memory") + 1] if "--memory" in sys.argv else None
resources = Resources(parallel_trials=2, memory_per_trial_gb=memory)
params = Params(
    set="faults", recipe="tiny", studies=("faults",), root=sys.argv[1], settings=settings, resources=resources
)
study = load_study("faults", base_settings(params, "params"), (0,), Path())
flags = argparse.Namespace(fresh=False, allow_holes=False, train_only=False, in_process="--in-process" in sys.argv)
sys.exit(run_command(lambda: run_studies([study], params, flags)))
"""


class Sweep:
    """The sweep's command in a folder of its own, started as by a shell: in a process group."""

    def __init__(self, folder: Path, data: Path) -> None:
        folder.mkdir()
        (folder / "faults.yaml").write_text(STUDY)
        self.folder, self.data = folder, data
        self.groups: list[int] = []
        self.said = ""  # by the last start
        self.seen: set[tuple[str, int]] = set()  # (trial, epoch) that were reported so far, by any start

    def run(
        self, *words: str, until: Callable[["Sweep"], bool] | None = None, do: Callable[[int], None] | None = None
    ) -> int:
        """Start the sweep, call `do` with the driver's process id as soon as `until` holds; returns the exit status."""
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", SWEEP, str(self.data), *words]
        said = self.folder / "said.txt"  # no pipe: processes that outlive the driver would hold it open
        with said.open("w") as out:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.groups.append(process.pid)
        while process.poll() is None:
            time.sleep(0.02)
            self.said = said.read_text()
            for name, epoch in re.findall(r"^(\S+) (\d+)/\d+ ", self.said, re.MULTILINE):
                self.seen.add((name, int(epoch)))
            if until is not None and until(self):
                do(process.pid)
                until = None
        assert until is None, f"the sweep ended before the fault:\n{self.said}"
        return process.returncode

    def end(self) -> None:
        """End what a killed driver has left running."""
        for group in self.groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)

    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "results" / "faults.csv").open() as file:
            return list(csv.DictReader(file))

    def results(self) -> tuple[bytes, list[dict], list[str]]:
        """What must not differ: the table, metrics and losses of each record, which annotations are found."""
        root = self.folder / "results"
        records = [json.loads(path.read_text()) for path in sorted((root / "faults" / "trials").iterdir())]
        kept = [
            {
                "metrics": record["metrics"],
                "curves": [{k: v for k, v in numbers.items() if k != "seconds"} for numbers in record["curves"]],
            }
            for record in records
        ]
        found = [path.read_text() for path in sorted((self.folder / "store").glob("*/found.json"))]
        return (root / "faults.csv").read_bytes(), kept, found

    def runs(self) -> tuple[list[Run], list[Run]]:
        """(parents, children) in MLflow, by name."""
        experiment = self.client().get_experiment_by_name("faults")
        runs = self.client().search_runs([experiment.experiment_id], order_by=["attributes.run_name"])
        children = [run for run in runs if "trial_key" in run.data.tags]
        return [run for run in runs if run not in children], children

    def epochs(self, run: Run) -> list[int]:
        return [metric.step for metric in self.client().get_metric_history(run.info.run_id, "loss/total")]

    def client(self) -> MlflowClient:
        return MlflowClient(tracking_uri=f"sqlite:///{self.folder / 'mlflow.db'}")


def share_reported(share: float) -> Callable[[Sweep], bool]:
    return lambda sweep: len(sweep.seen) >= share * 3 * EPOCHS


def both_failed_and_share_reported(share: float) -> Callable[[Sweep], bool]:
    return lambda sweep: sweep.said.count(": FAILED, ") == 2 and share_reported(share)(sweep)


def kill(process_id: int) -> None:
    os.kill(process_id, signal.SIGKILL)


def press_control_c(process_id: int) -> None:
    """A terminal sends it to all processes of the foreground group."""
    os.killpg(process_id, signal.SIGINT)


def terminate_the_job(process_id: int) -> None:
    """As Slurm does: all its processes, those of Ray too."""
    os.killpg(process_id, signal.SIGTERM)


def kill_the_workers(process_id: int) -> None:
    """As the kernel does when memory runs out."""
    processes = psutil.Process(process_id).children(recursive=True)
    workers = [process for process in processes if process.name().startswith("ray::Implicit")]
    assert workers
    for worker in workers:
        worker.kill()


@pytest.fixture
def sweeps(shapes: Path, tmp_path: Path) -> Iterator[tuple[Sweep, Sweep]]:
    both = Sweep(tmp_path / "undisturbed", shapes), Sweep(tmp_path / "hurt", shapes)
    yield both
    for sweep in both:
        sweep.end()


@pytest.mark.slow
def test_a_sweep_that_is_killed_interrupted_and_hurt_ends_as_an_undisturbed_one(sweeps: tuple[Sweep, Sweep]) -> None:
    undisturbed, hurt = sweeps
    assert undisturbed.run("--in-process") == 0
    folders = {row["arm"]: hurt.folder / "store" / row["trial_key"] for row in undisturbed.rows()}
    damaged = folders["box_mask"] / "checkpoint.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")

    # a trial raises, another needs more than its memory, the driver is killed when the rest have come to 30 %
    limit = "--memory", MEMORY_GB
    assert hurt.run(*limit, until=both_failed_and_share_reported(0.3), do=kill) == -signal.SIGKILL
    reasons = {arm: json.loads((folders[arm] / "failed.json").read_text())["reason"] for arm in ("wide", "box_mask")}
    assert "checkpoint.pt" in reasons["box_mask"]
    assert reasons["wide"].startswith("out of memory at the limit of 2 GB (resources.memory_per_trial_gb)")
    damaged.unlink()

    assert hurt.run(until=share_reported(0.7), do=kill) == -signal.SIGKILL
    assert hurt.run(until=share_reported(0.75), do=terminate_the_job) == TERMINATED
    assert hurt.run(until=share_reported(0.8), do=press_control_c) == INTERRUPTED
    assert not (hurt.folder / "results").exists()
    assert "RUNNING" not in {run.info.status for runs in hurt.runs() for run in runs}

    # processes of trials are killed: they are started again
    hurt.seen.clear()
    assert hurt.run(until=lambda sweep: bool(sweep.seen), do=kill_the_workers) == 0

    assert hurt.results() == undisturbed.results()
    for sweep in (undisturbed, hurt):
        parents, children = sweep.runs()
        assert [run.info.status for run in parents] == ["FINISHED"]
        assert [(run.info.run_name, run.info.status) for run in children] == [
            ("both-seed0", "FINISHED"),
            ("box_mask-seed0", "FINISHED"),
            ("full-seed0", "FINISHED"),
            ("wide-seed0", "FINISHED"),
        ]
        epochs = [sweep.epochs(run) for run in children]
        assert epochs == [list(range(1, EPOCHS + 1))] * 3 + [[1]]  # none twice, none missing
