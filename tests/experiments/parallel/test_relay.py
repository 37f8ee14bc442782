"""What the sweep makes of a process that died, and of a machine that fails."""

import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.jobs import list_jobs
from experiments.parallel import relay as relay_module
from experiments.parallel.relay import Relay
from experiments.parallel.stop import SweepStop
from experiments.progress import Progress
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Study


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
    trial = SimpleNamespace(trial_id="t", config={"job": 0}, error_file=tmp_path / "error.txt")
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
    text = "Traceback ...\nexperiments.parallel.relay.MachineFault: store/k/checkpoint.pt: No space left\n"
    (tmp_path / "error.txt").write_text(f"Failure # 1 (occurred at 12:00)\n{text}")
    relay.on_trial_error(0, [], SimpleNamespace(trial_id="t", config={"job": 0}, error_file=tmp_path / "error.txt"))
    assert (stop.fault, told) == ("store/k/checkpoint.pt: No space left", [signal.SIGUSR1])
    assert store.failed(jobs[0].key) is None
