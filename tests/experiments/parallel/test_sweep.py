"""A real sweep by Ray: trials take turns in one process, and none feels the one before it."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from core.record import Record
from experiments.jobs import Job, list_jobs
from experiments.parallel import sweep as sweep_module
from experiments.parallel.relay import Relay
from experiments.parallel.session import ray_started
from experiments.parallel.sweep import run_with_ray
from experiments.params import Resources
from experiments.progress import Progress
from experiments.provenance import Provenance, provenance
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import Observer, run_one_by_one
from tests.experiments.conftest import as_recorded, study_of
from tests.experiments.test_trial_workers import PAIR, RELATIVE, job_of, moved

QUIET = """
question: q
source: s
expectation: none
arms:
  wide: {model.pyramid_channels: 512, training.epochs: 1}
  first: {loss.dice: 0}
  second: {loss.dice: 2}
"""
HURT = """
question: q
source: s
expectation: none
arms:
  broken: {model.backbone.weights: broken.pt}
  before: {loss.dice: 0}
  killed: {loss.dice: 2, training.epochs: 6}
  after: {loss.dice: 3}
"""


@dataclass
class Heard:
    """An observer that notes what it is told; calls `at_epoch` at each epoch."""

    at_epoch: Callable[[Job], None] = lambda job: None
    epochs: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def started(self, job: Job) -> None: ...

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        self.epochs.setdefault(job.trial.arm, []).append(numbers)
        self.at_epoch(job)

    def ended(self, job: Job, record: Record) -> None: ...


def run_in_ray(jobs: Sequence[Job], store: Store, resources: Resources, observers: Sequence[Observer]) -> None:
    with ray_started(resources) as folder:
        run_with_ray(jobs, store, resources, observers, Progress(jobs, 1), folder)


def sweep(study: Study, made_from: Provenance, store: Store, heard: Heard) -> dict[str, Record]:
    """Records of a sweep with one slot, by arm."""
    jobs = list_jobs(study, made_from)
    run_in_ray(jobs, store, Resources(parallel_trials=1), [heard])
    return {job.trial.arm: store.finished(job.key) or store.failed(job.key) for job in jobs}


def test_trials_in_one_process_are_those_of_a_process_each(shapes: Path, here: Path, monkeypatch) -> None:
    shown: dict[str, dict] = {}  # by Ray's tools

    class Watched(Relay):
        def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
            shown[str(trial)] = trial.config
            super().on_trial_start(iteration, trials, trial, **info)

    monkeypatch.setattr(sweep_module, "Relay", Watched)
    study, heard, made_from = study_of(QUIET, "quiet", shapes, here), Heard(), provenance()
    records = sweep(study, made_from, Store(here / "store"), heard)
    assert list(shown) == ["quiet-wide-seed0", "quiet-first-seed0", "quiet-second-seed0"]
    assert shown["quiet-second-seed0"] == {
        "trial_key": records["second"].key,
        "study": "quiet",
        "arm": "second",
        "seed": 0,
        "model.pyramid_channels": 16,
        "training.epochs": 2,
        "loss.dice": 2.0,
    }
    assert len({record.process for record in records.values()}) == 1
    for arm, record in records.items():
        assert as_recorded(heard.epochs[arm]) == record.curves
    assert records["first"].peak_memory_mb < records["wide"].peak_memory_mb - 50
    alone = Store(here / "alone")
    run_one_by_one(list_jobs(study, made_from), alone, Resources(), [], progress=False)
    for job in list_jobs(study, made_from):
        expected, found = alone.finished(job.key), records[job.trial.arm]
        assert found.metrics == expected.metrics
        assert without_seconds(found) == without_seconds(expected)


def test_trials_run_in_processes_that_ray_started_with_itself(shapes: Path, here: Path) -> None:
    """They have loaded torch while the driver did; others would start only with the first trials."""
    jobs, store = list_jobs(study_of(QUIET, "quiet", shapes, here), provenance())[1:], Store(here / "store")
    resources = Resources(parallel_trials=2)
    with ray_started(resources) as folder:
        limit = time.monotonic() + 60
        while len(idle := {child.pid for child in psutil.Process().children(recursive=True) if is_idle(child)}) < 2:
            assert time.monotonic() < limit
            time.sleep(0.1)
        run_with_ray(jobs, store, resources, [], Progress(jobs, 2), folder)
    assert {store.finished(job.key).process for job in jobs} == idle


def is_idle(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("ray::IDLE")
    except psutil.NoSuchProcess:
        return False


def without_seconds(record: Record) -> list[dict[str, float]]:
    return [{name: value for name, value in numbers.items() if name != "seconds"} for numbers in record.curves]


@pytest.mark.slow
def test_a_trial_that_fails_or_dies_does_not_take_the_next_down(shapes: Path, here: Path) -> None:
    (here / "broken.pt").write_bytes(b"broken")
    killed: list[int] = []

    def kill_once(job: Job) -> None:
        if job.trial.arm == "killed" and not killed:
            (process,) = [
                child for child in psutil.Process().children(recursive=True) if child.name().startswith("ray::Implicit")
            ]
            killed.append(process.pid)
            process.kill()

    study = study_of(HURT, "hurt", shapes, here)
    records = sweep(study, provenance(), Store(here / "store"), Heard(kill_once))
    assert "broken.pt: not a torch file" in records["broken"].reason
    assert {arm: record.status for arm, record in records.items()} == {
        "broken": "failed",
        "before": "ok",
        "killed": "ok",
        "after": "ok",
    }
    processes = {arm: record.process for arm, record in records.items()}
    assert killed == [processes["before"]]  # which had gone on to the arm `killed`
    assert len(records["killed"].curves) == 6
    assert processes["broken"] != processes["before"] != processes["killed"] == processes["after"]
    assert os.getpid() not in processes.values()


@pytest.mark.slow
def test_two_workers_of_a_trial_train_as_one_process_with_twice_the_batch(shapes: Path, here: Path) -> None:
    study, made_from, store = study_of(PAIR, "pair", shapes, here), provenance(), Store(here / "store")
    moves = []
    for arm, workers in (("small", 2), ("large", 1)):
        job = job_of(study, arm, workers)
        resources = Resources(parallel_trials=1, workers_per_trial=workers, cpus_per_trial=workers)
        run_in_ray([job], store, resources, [])
        assert store.finished(job.key).workers == (workers if workers > 1 else None)
        assert store.finished(job.key).code == made_from.code
        moves.append(moved(job, store))
    assert (moves[0] - moves[1]).norm() < RELATIVE * moves[1].norm()
