"""A trial by two processes trains as one with twice the batch, stops and goes on, and ends when one of them dies."""

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.compute.compute import Compute
from core.compute.interrupt import Stopped
from core.record import Record
from core.training.initial import initial_model
from experiments.jobs import Job, list_jobs
from experiments.params import Resources
from experiments.provenance import provenance
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import run_job, run_one_by_one
from experiments.trial_workers import WorkerDied
from tests.experiments.conftest import as_recorded, study_of

RELATIVE = 1e-5  # float32 sums of the same numbers in another order, over six steps
PAIR = """
question: q
source: s
expectation: none
settings:
  # batch norm has the statistics of each worker's own images: none in the backbone, and next to no weight on the masks,
  # whose branch has it always
  model.backbone.norm: frozen
  loss: {dice: 0, projection: 1.0e-9, pairwise: 0}
  training: {epochs: 3, optimizer: sgd, learning_rate: 0.01, schedule: step, warmup_steps: 0}
arms:
  small: {training.batch_size: 2}
  large: {training.batch_size: 4}
"""
TWO = Resources(workers_per_trial=2, cpus_per_trial=2)


@pytest.fixture
def pair(shapes: Path, tmp_path: Path) -> Study:
    return study_of(PAIR, "pair", shapes, tmp_path)


def job_of(study: Study, arm: str, workers: int) -> Job:
    trials = tuple(trial for trial in study.trials if trial.arm == arm)
    return list_jobs(replace(study, trials=trials), provenance(), workers)[0]


def run(job: Job, store: Store, on_epoch: Callable = lambda numbers: None, **named) -> Record:
    return run_job(job, store, TWO if job.workers == 2 else Resources(), on_epoch, **named)


def moved(job: Job, store: Store) -> Tensor:
    """How the training has changed the parameters of the network, all in one row."""
    trained = torch.load(store.folder(job.key) / "checkpoint.pt", weights_only=True)["state"]["model"]
    start = initial_model(job.trial.config, ["a", "b", "c", "d"], job.trial.seed, Compute())
    return torch.cat([(trained[name] - value.detach()).flatten() for name, value in start.named_parameters()])


def test_two_workers_of_two_images_train_as_one_of_four(pair: Study, tmp_path: Path) -> None:
    epochs: list[dict] = []
    store, two, one = Store(tmp_path / "store"), job_of(pair, "small", 2), job_of(pair, "large", 1)
    assert two.key != job_of(pair, "small", 1).key
    together, alone = run(two, store, epochs.append), run(one, store)
    assert together.status == alone.status == "ok"
    assert (together.workers, alone.workers, together.threads) == (2, None, 1)
    assert [numbers["step"] for numbers in epochs] == [2, 4, 6]
    assert together.curves == as_recorded(epochs)
    expected = moved(one, store)
    assert (moved(two, store) - expected).norm() < RELATIVE * expected.norm()
    assert expected.norm() > 1e-3
    assert together.metrics["box_AP"] == pytest.approx(alone.metrics["box_AP"], rel=1e-3)
    assert store.finished(two.key).pictures == together.pictures


@pytest.mark.slow
def test_workers_stop_and_go_on_as_if_nothing_had_been(pair: Study, tmp_path: Path) -> None:
    job, whole, stopped = job_of(pair, "small", 2), Store(tmp_path / "whole"), Store(tmp_path / "stopped")
    epochs: list[dict] = []
    with pytest.raises(Stopped, match=r"stopped by SIGTERM after \d of 6 steps") as raised:
        run(job, stopped, epochs.append, stop=lambda: signal.SIGTERM if epochs else 0)
    assert raised.value.signal_number == signal.SIGTERM
    assert stopped.failed(job.key) is None
    found, expected = run(job, stopped), run(job, whole)
    assert found.metrics == expected.metrics
    assert torch.equal(moved(job, stopped), moved(job, whole))


def test_a_worker_that_dies_ends_the_trial_which_goes_on_from_its_checkpoint(pair: Study, tmp_path: Path) -> None:
    job, store = job_of(pair, "small", 2), Store(tmp_path / "store")

    def kill_the_second(numbers: dict[str, float]) -> None:
        (second,) = [child for child in multiprocessing.active_children() if child.name == "worker 1 of 2"]
        second.kill()

    with pytest.raises(WorkerDied, match=r"^worker 1 of 2 was killed by SIGKILL$"):
        run(job, store, kill_the_second)
    assert multiprocessing.active_children() == []
    assert store.failed(job.key) is None
    run_one_by_one([job], store, TWO, [], progress=False)
    assert [numbers["epoch"] for numbers in store.finished(job.key).curves] == [1, 2, 3]


def test_a_trial_that_fails_in_its_workers_says_why(pair: Study, tmp_path: Path) -> None:
    job, store = job_of(pair, "small", 2), Store(tmp_path / "store")
    damaged = store.folder(job.key) / "checkpoint.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    record = run(job, store)
    assert "checkpoint.pt: not a torch file" in record.reason
    assert store.failed(job.key).workers == 2
    assert multiprocessing.active_children() == []
