"""What the sweep makes of a process that died, and of a machine that fails."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.record import Record
from experiments.jobs import Job, list_jobs
from experiments.parallel import relay as relay_module
from experiments.parallel.described import KEY
from experiments.parallel.relay import Relay
from experiments.parallel.stop import SweepStop
from experiments.parallel.trainable import FAILED
from experiments.progress import Progress
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import other_code


@pytest.mark.parametrize(("starts", "found"), [(True, "killed 1 for lack of memory"), (False, "killed 3 for lack")])
def test_a_process_that_died_is_a_failed_trial_even_if_it_never_came_up(
    study: Study, tmp_path: Path, made_from: Provenance, monkeypatch, starts: bool, found: str
) -> None:
    kills = iter([4, 6, 7] if starts else [4, 7])  # of the kernel, when the sweep, the trial and the error began
    monkeypatch.setattr(relay_module, "count_kernel_kills", lambda: next(kills))
    store, jobs = Store(tmp_path / "store"), list_jobs(study, made_from)
    progress = Progress(jobs, 1)
    stop = SweepStop(lambda: 0, tmp_path / "stop", progress)
    relay = Relay(jobs, store, [], progress, stop)
    (tmp_path / "error.txt").write_text("Failure # 1 (occurred at 12:00)\nThe actor died.\n")
    trial = SimpleNamespace(trial_id="t", config={KEY: jobs[0].key}, error_file=tmp_path / "error.txt")
    if starts:
        relay.on_trial_start(0, [], trial)
    relay.on_trial_error(0, [], trial)
    assert found in store.failed(jobs[0].key).reason


def test_a_full_disk_ends_the_sweep_and_fails_no_trial(study: Study, tmp_path: Path, made_from, monkeypatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", told.append)
    store, jobs = Store(tmp_path / "store"), list_jobs(study, made_from)
    progress = Progress(jobs, 1)
    stop = SweepStop(lambda: 0, tmp_path / "stop", progress)
    relay = Relay(jobs, store, [], progress, stop)
    text = "Traceback ...\nexperiments.parallel.trainable.MachineFault: store/k/checkpoint.pt: No space left\n"
    (tmp_path / "error.txt").write_text(f"Failure # 1 (occurred at 12:00)\n{text}")
    relay.on_trial_error(
        0, [], SimpleNamespace(trial_id="t", config={KEY: jobs[0].key}, error_file=tmp_path / "error.txt")
    )
    assert (stop.fault, told) == ("store/k/checkpoint.pt: No space left", [signal.SIGUSR1])
    assert store.failed(jobs[0].key) is None


class Heard:
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self.ended_with: list[str] = []

    def started(self, job: Job) -> None: ...

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        self.epochs.append(numbers)

    def ended(self, job: Job, record: Record) -> None:
        self.ended_with.append(record.reason)


@pytest.mark.parametrize("stopped", [0, signal.SIGTERM])
def test_a_trial_that_failed_is_not_tried_again_and_keeps_its_record(
    study: Study, tmp_path: Path, made_from: Provenance, stopped: int
) -> None:
    store, jobs, heard = Store(tmp_path / "store"), list_jobs(study, made_from), Heard()
    stop = SweepStop(lambda: stopped, tmp_path / "stop", Progress(jobs, 1))
    relay = Relay(jobs, store, [heard], Progress(jobs, 1), stop)
    store.write(other_code(jobs[0], "edited"))
    reason = store.failed(jobs[0].key).reason
    text = f"Failure # 2 (occurred at 12:00)\n...\nexperiments.parallel.trainable.TrialFailed: {reason}\n"
    (tmp_path / "error.txt").write_text(f"Failure # 1 (occurred at 12:00)\nThe actor died.\n{text}")
    trial = SimpleNamespace(
        trial_id="t", config={KEY: jobs[0].key}, error_file=tmp_path / "error.txt", num_failures=1, max_failures=5
    )
    relay.on_trial_result(1, [], trial, {FAILED: reason, "pid": 7})
    assert trial.max_failures == 1  # Tune tries again as long as the failures, soon 2, are not more than this
    relay.on_trial_error(1, [], trial)
    assert heard.epochs == []
    assert heard.ended_with == [reason]
    assert store.failed(jobs[0].key).reason == reason


LOST = "The actor 4ac9 is unavailable: The actor is temporarily unavailable: RpcError: RPC error: Socket closed"
CRASHED = "The actor died unexpectedly before finishing this task.\n\tip: 10.0.0.2\nits worker process has died."


def failing(job: Job, folder: Path, *messages: str) -> SimpleNamespace:
    """A trial of Tune that has failed so often, with Ray's texts, and may fail once."""
    texts = [f"Failure # {number + 1} (occurred at 12:00)\n{text}\n" for number, text in enumerate(messages)]
    (folder / "error.txt").write_text("".join(texts))
    return SimpleNamespace(
        trial_id="t",
        config={KEY: job.key},
        error_file=folder / "error.txt",
        num_failures=len(messages),
        max_failures=1,
    )


def test_nodes_that_are_lost_are_no_failures_of_the_trial_but_not_without_end(
    study: Study, tmp_path: Path, made_from: Provenance
) -> None:
    jobs = list_jobs(study, made_from)
    stop = SweepStop(lambda: 0, tmp_path / "stop", Progress(jobs, 1))
    relay = Relay(jobs, Store(tmp_path / "store"), [], Progress(jobs, 1), stop, of_cluster=True)
    trial = failing(jobs[0], tmp_path, LOST, CRASHED)
    relay.on_trial_recover(0, [], trial)
    assert trial.max_failures == 1
    trial = failing(jobs[0], tmp_path, CRASHED, LOST)
    relay.curves["t"] = [{"epoch": 1}]
    relay.on_trial_recover(0, [], trial)
    assert relay.curves == {}  # it reports all its epochs again
    for _ in range(8):
        relay.on_trial_recover(0, [], trial)
    assert trial.max_failures == 1 + 5
    trial = failing(jobs[0], tmp_path, "The actor is dead because its node has died. Node Id: 54e1")
    trial.trial_id = "another"
    relay.on_trial_recover(0, [], trial)
    assert trial.max_failures == 2


def test_a_crash_on_a_cluster_names_the_node(study: Study, tmp_path: Path, made_from: Provenance) -> None:
    jobs, store = list_jobs(study, made_from), Store(tmp_path / "store")
    stop = SweepStop(lambda: 0, tmp_path / "stop", Progress(jobs, 1))
    relay = Relay(jobs, store, [], Progress(jobs, 1), stop, of_cluster=True)
    relay.on_trial_error(0, [], failing(jobs[0], tmp_path, CRASHED))
    reason = store.failed(jobs[0].key).reason
    assert reason.startswith("the process died: on node 10.0.0.2: The actor died unexpectedly")


@pytest.mark.parametrize("stopped", [0, signal.SIGTERM])
def test_a_trial_that_ends_without_a_record_is_a_failure_unless_the_sweep_stops(
    study: Study, tmp_path: Path, made_from: Provenance, stopped: int
) -> None:
    jobs, store, heard = list_jobs(study, made_from), Store(tmp_path / "store"), Heard()
    stop = SweepStop(lambda: stopped, tmp_path / "stop", Progress(jobs, 1))
    relay = Relay(jobs, store, [heard], Progress(jobs, 1), stop)
    relay.on_trial_complete(0, [], SimpleNamespace(trial_id="t", config={KEY: jobs[0].key}))
    expected = [] if stopped else [f"the process died: it ended without a record in {store.root}"]
    assert heard.ended_with == expected
