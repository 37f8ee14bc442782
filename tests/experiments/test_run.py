"""The command: exit status and messages in process, and one real sweep by Ray."""

import argparse
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import conduct as sweep_module
from experiments import run as run_module
from experiments.planning.plan import print_plan
from experiments.run import main
from experiments.run_studies import run_studies
from experiments.store import Store
from experiments.study import Study
from tests.experiments.conftest import failing, write_params
from tests.experiments.without_mlflow import FLAGS, Silence, here, params, rows, run

__all__ = ["here"]  # a fixture


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
