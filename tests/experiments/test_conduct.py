"""How a sweep ends: interrupts, faults and MLflow out of reach take nothing that has ended."""

import errno
import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from core.compute.command import INTERRUPTED
from core.compute.compute import Compute
from core.config import Config
from experiments import conduct as sweep_module
from experiments import trial as trial_module
from experiments.jobs import list_jobs
from experiments.parallel import start
from experiments.provenance import provenance
from experiments.store import Store
from experiments.study import Study
from tests.experiments.conftest import failing
from tests.experiments.without_mlflow import Silence, here, rows, run

__all__ = ["here"]  # a fixture


def test_an_interrupt_writes_no_results(study: Study, here: Path, monkeypatch, capsys) -> None:
    def interrupted(*arguments, **named) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_module, "run_one_by_one", interrupted)
    assert run(study) == INTERRUPTED
    assert "2 of 2 trials have not ended; run the same command" in capsys.readouterr().err
    assert not (here / "results").exists()


def test_results_do_not_depend_on_mlflow(study: Study, here: Path, monkeypatch, fake_training: list, capsys) -> None:
    def fails(self, records: dict, **limit: float) -> None:
        assert len(rows(here / "results" / "pair.csv")) == 2 or train_only
        self.problem = "MLflow at x: connection refused"

    monkeypatch.setattr(Silence, "finish", fails, raising=False)
    monkeypatch.setattr(Silence, "run_ids", lambda self, study: {}, raising=False)
    train_only = False
    assert run(study) == 0
    said = capsys.readouterr().err
    assert said == (
        "warning: MLflow at x: connection refused; results are written, and the same command sends the rest to MLflow\n"
    )
    train_only = True
    assert run(study, train_only=True) == 0
    assert "`python -m experiments.run pair --train-only` sends the rest" in capsys.readouterr().err


def test_a_run_that_is_known_only_at_the_end_comes_into_the_results(
    study: Study, here: Path, monkeypatch, fake_training: list
) -> None:
    ids: dict[str, str] = {}
    monkeypatch.setattr(Silence, "run_ids", lambda self, study: ids)
    monkeypatch.setattr(
        Silence,
        "finish",
        lambda self, records, seconds: ids.update(dict.fromkeys(records["pair"], "late")),
        raising=False,
    )
    assert run(study) == 0
    records = [json.loads(path.read_text()) for path in (here / "results" / "pair" / "trials").iterdir()]
    assert [record["mlflow_run_id"] for record in records] == ["late", "late"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_sweep_keeps_what_has_ended_and_says_one_sentence(
    study: Study, here: Path, monkeypatch, capfd, fake_training: list, number: signal.Signals
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(
        Silence, "finish", lambda self, records, seconds: closed.append(len(records["pair"])), raising=False
    )
    train = trial_module.train

    def stopped_in_the_second(config: Config, seed: int, compute: Compute, **arguments):
        if fake_training:
            os.kill(os.getpid(), number)
            compute.check_stop("3 of 4 steps")
        return train(config, seed, compute, **arguments)

    monkeypatch.setattr(trial_module, "train", stopped_in_the_second)
    assert run(study) == 128 + number
    word = "terminated" if number == signal.SIGTERM else "interrupted"
    sentence = f"{word}: 1 of 2 trials have not ended; run the same command without --fresh to resume\n"
    assert capfd.readouterr().err == sentence
    assert closed == [1]
    assert not (here / "results").exists()
    monkeypatch.setattr(trial_module, "train", train)
    assert run(study) == 0
    assert fake_training == ["0", "2"]


def test_an_interrupt_leaves_no_failure_of_a_sweep_before(study: Study, here: Path, monkeypatch, fake_training) -> None:
    assert run(failing(study)) == 1
    monkeypatch.setattr(sweep_module, "run_one_by_one", lambda *arguments, **named: None)
    assert run(failing(study)) == INTERRUPTED


def test_where_ray_does_not_start_nothing_is_lost(study: Study, here: Path, monkeypatch, fake_training: list) -> None:
    def broken(*arguments, **named) -> None:
        raise RuntimeError("the node timed out")

    assert run(failing(study)) == 1
    failed = sorted((here / "store").glob("*/failed.json"))
    monkeypatch.setattr(sweep_module, "Tracking", lambda *arguments: pytest.fail("there is no sweep to log"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(start.ray, "init", broken)
    with pytest.raises(OSError, match="Ray did not start, 2 attempts: the node timed out"):
        run(failing(study), in_process=False, fresh=True)
    assert failed
    assert sorted((here / "store").glob("*/failed.json")) == failed
    assert list((here / ".ray").iterdir()) == []


def test_where_a_sweep_ends_by_a_fault_it_is_closed_with_what_has_finished(
    study: Study, here: Path, fake_training: list, monkeypatch
) -> None:
    assert run(study) == 0
    first, second = list_jobs(study, provenance())[:2]
    shutil.rmtree(here / "store" / first.key)

    def full(*arguments: object, progress: bool) -> None:
        raise OSError("No space left on device")

    closed = []
    monkeypatch.setattr(Silence, "finish", lambda self, records, seconds: closed.append(records), raising=False)
    monkeypatch.setattr(sweep_module, "run_one_by_one", full)
    with pytest.raises(OSError, match="No space left"):
        run(study)
    assert second.key in closed[0]["pair"]
    assert first.key not in closed[0]["pair"]


def test_a_full_disk_is_no_failure_of_a_trial(study: Study, here: Path, fake_training: list, monkeypatch) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(trial_module, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        run(study)
    assert Store(here / "store").failed(list_jobs(study, provenance())[0].key) is None


def test_every_record_names_its_run(study: Study, here: Path, fake_training: list) -> None:
    assert run(study) == 0
    for path in (here / "results" / "pair" / "trials").iterdir():
        assert json.loads(path.read_text())["mlflow_run_id"] == f"run of {path.stem}"
