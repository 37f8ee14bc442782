"""The command: exit status and messages in process, and one real sweep by Ray."""

import argparse
import csv
import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from core.compute.command import INTERRUPTED
from core.compute.compute import Compute
from core.config import Config
from experiments import conduct as sweep_module
from experiments import run as run_module
from experiments import trial as trial_module
from experiments.jobs import list_jobs
from experiments.parallel import start
from experiments.params import Params, Resources
from experiments.plan import print_plan
from experiments.provenance import provenance
from experiments.run import main
from experiments.run_studies import run_studies
from experiments.store import Store
from experiments.study import Study
from tests.experiments.conftest import write_params

FLAGS = {"fresh": False, "allow_holes": False, "in_process": True, "train_only": False}


class Silence:
    """Stands for MLflow where a test is not about it."""

    problem = ""

    def __init__(self, studies: list, *arguments: object) -> None:
        self.jobs = {study.name: jobs for study, jobs in studies}

    def run_ids(self, study: str) -> dict[str, str]:
        return {job.key: f"run of {job.key}" for job in self.jobs[study]}

    def __getattr__(self, name: str):
        return lambda *arguments, **named: None


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, without MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep_module, "Tracking", Silence)
    return tmp_path


def params(**resources: float) -> Params:
    return Params(set="mine", recipe="shapes", studies=("pair",), root=".", resources=Resources(**resources))


def run(*studies: Study, **flags: bool) -> int:
    return run_studies(studies, params(), argparse.Namespace(**FLAGS | flags))


def failing(study: Study) -> Study:
    trial = study.trials[0]
    loss = trial.config.loss.model_copy(update={"dice": 3.0})
    broken = replace(trial, config=trial.config.model_copy(update={"loss": loss}))
    return replace(study, trials=(broken, *study.trials[1:]))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_study_is_run_once_and_then_collected(study: Study, here: Path, fake_training: list, capsys) -> None:
    assert run(study) == 0
    first = (here / "results" / "pair.csv").read_bytes()
    (here / "results" / "pair.csv").unlink()
    assert run(study) == 0
    assert (here / "results" / "pair.csv").read_bytes() == first
    assert fake_training == ["0", "2"]
    assert "2 trials, 2 already finished, 0 to run" in capsys.readouterr().out


def test_fresh_runs_everything_again(study: Study, here: Path, fake_training: list) -> None:
    run(study)
    run(study, fresh=True)
    assert fake_training == ["0", "2", "0", "2"]


def test_fresh_keeps_all_where_the_sweep_cannot_start(study: Study, here: Path, fake_training, monkeypatch) -> None:
    run(study)

    def unreachable(*arguments: object) -> None:
        raise ValueError("MLflow does not answer")

    monkeypatch.setattr(sweep_module, "Tracking", unreachable)
    with pytest.raises(ValueError, match="does not answer"):
        run(study, fresh=True)
    monkeypatch.setattr(sweep_module, "Tracking", Silence)
    run(study)
    assert fake_training == ["0", "2"]


def test_what_is_edited_while_it_runs_is_no_success(here: Path, monkeypatch, capsys) -> None:
    write_params(Path())

    def edit(*arguments: object) -> int:
        write_params(Path(), rest="seeds: [1]")
        return 0

    monkeypatch.setattr(run_module, "run_studies", edit)
    assert main(["--all"]) == 1
    assert "edited during the run: params.yaml: the results are from before the edit" in capsys.readouterr().err
    assert main(["--all"]) == 0  # written again, equal


def test_a_dry_run_tells_what_is_finished(study: Study, here: Path, fake_training: list, capsys) -> None:
    run(replace(study, trials=study.trials[:1]))
    capsys.readouterr()
    for fresh, expected in ((False, ["finished", "to run"]), (True, ["to run", "to run"])):
        print_plan([study], Store(here / "store"), teraflops=20.0, fresh=fresh)
        lines = capsys.readouterr().out.splitlines()
        assert [line[:8].strip() for line in lines if "pair/" in line] == expected
    assert fake_training == ["0"]


def test_studies_share_the_trials_they_have_in_common(study: Study, here: Path, fake_training: list, capsys) -> None:
    assert run(study, replace(study, name="other")) == 0
    assert fake_training == ["0", "2"]
    assert "2 trials (4 in the studies, which share some), 0 already finished, 2 to run" in capsys.readouterr().out
    first, second = rows(here / "results" / "pair.csv"), rows(here / "results" / "other.csv")
    assert [row["trial_key"] for row in first] == [row["trial_key"] for row in second]


def test_a_failed_trial_is_a_hole_and_no_success(study: Study, here: Path, fake_training: list, capsys) -> None:
    assert run(failing(study)) == 1
    assert "failed: pair: a-seed0: FloatingPointError: step 7" in capsys.readouterr().err
    assert [row["status"] for row in rows(here / "results" / "pair.csv")] == ["failed", "ok"]
    assert run(failing(study), allow_holes=True) == 0
    assert fake_training == ["3", "2", "3"]  # the one that failed is tried again
    allowed = replace(params(), allow_holes=True)
    assert run_studies([failing(study)], allowed, argparse.Namespace(**FLAGS)) == 0


def test_a_sweep_for_dvc_trains_and_leaves_results_and_failures_to_the_collection(
    study: Study, here: Path, fake_training: list
) -> None:
    assert run(failing(study), train_only=True) == 0
    assert not (here / "results").exists()
    assert Store(here / "store").run_ids("pair") != {}
    assert fake_training == ["3", "2"]


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


def test_where_a_sweep_ends_by_a_fault_it_is_closed(study: Study, here: Path, monkeypatch) -> None:
    def full(*arguments: object, progress: bool) -> None:
        raise OSError("No space left on device")

    closed = []
    monkeypatch.setattr(Silence, "finish", lambda self, records, seconds: closed.append(records), raising=False)
    monkeypatch.setattr(sweep_module, "run_one_by_one", full)
    with pytest.raises(OSError, match="No space left"):
        run(study)
    assert closed == [{}]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rest": "seed: [0]"}, "unknown key 'seed' (did you mean"),
        ({"recipe": "shape"}, "shape.yaml (did you mean 'shapes'?)"),
        ({}, "data.root 'datasets/mine': no such folder"),
        ({"rest": "settings: {loss.dise: 1}"}, "(did you mean 'loss.dice'?)"),
    ],
)
def test_a_wrong_input_is_one_clean_line_and_status_2(here: Path, capsys, asked: dict, message: str) -> None:
    write_params(Path(), **asked)
    assert main(["--study", "loss_terms"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_study_is_found_by_its_name_or_not_at_all(here: Path, capsys) -> None:
    write_params(Path())
    assert main(["--study", "loss_therms"]) == 2
    assert "(did you mean 'loss_terms'?)" in capsys.readouterr().err


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


def test_ray_trains_two_trials_side_by_side(study: Study, here: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(sweep_module.__file__).parent.parent))  # the test has left that folder
    assert run(failing_late(study, here / "broken_weights.pt"), in_process=False) == 1
    out = capsys.readouterr().out
    assert "b-seed0 2/2 mask AP" in out
    assert "a-seed0: FAILED" in out
    first, second = rows(here / "results" / "pair.csv")
    assert (first["status"], second["status"], second["reason"]) == ("failed", "ok", "")
    assert "broken_weights.pt: not a torch file" in first["reason"]
    assert 0 <= float(second["mask_AP"]) <= 100
    assert len(list((here / "results" / "pair" / "pictures" / "b-seed0").glob("*.png"))) == 7


def failing_late(study: Study, weights: Path) -> Study:
    """The study with a first arm that fails when its network is built, in the worker."""
    weights.write_bytes(b"broken")
    trial = study.trials[0]
    backbone = trial.config.model.backbone.model_copy(update={"weights": str(weights)})
    model = trial.config.model.model_copy(update={"backbone": backbone})
    broken = replace(trial, config=trial.config.model_copy(update={"model": model}))
    return replace(study, trials=(broken, *study.trials[1:]))
