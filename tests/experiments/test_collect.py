"""Collecting takes finished trials from the store, runs what is missing there, and leaves other sets' studies empty."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from experiments import conduct as sweep_module
from experiments import run as run_module
from experiments.collect import main
from experiments.store import Store
from tests.experiments.conftest import write_params
from tests.experiments.without_mlflow import Silence


@pytest.fixture
def here(tmp_path: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch, fake_training: list) -> Path:
    """A working directory with params.yaml and the data of its set; trainings take no time, nothing goes to MLflow."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep_module, "Tracking", Silence)
    write_params(Path(), recipe="tiny", studies="[warmup]")
    Path("datasets").mkdir()
    Path("datasets/mine").symlink_to(shapes)
    return tmp_path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_what_a_sweep_has_trained_is_collected_without_training(here: Path, fake_training: list) -> None:
    assert run_module.main(["--all", "--train-only", "--in-process"]) == 0
    trained = len(fake_training)
    assert main(["warmup"]) == 0
    found = rows(here / "results" / "warmup.csv")
    assert len(found) == trained == len(fake_training) == 4
    assert {row["status"] for row in found} == {"ok"}
    assert sorted(Store(here / "store").run_ids("warmup")) == sorted(row["trial_key"] for row in found)


def test_an_arm_without_its_file_fails_neither_the_sweep_nor_the_study(here: Path, fake_training: list) -> None:
    write_params(Path(), recipe="tiny", studies="[baselines]")
    assert run_module.main(["--all", "--train-only", "--in-process"]) == 0
    trained = len(fake_training)
    assert main(["baselines"]) == 0
    assert len(fake_training) == trained  # the missing arm is no reason to run anything again
    reasons = {row["arm"]: row["reason"] for row in rows(here / "results" / "baselines.csv") if row["reason"]}
    assert reasons == {"foreign_masks": "left out: no file 'datasets/mine/masks_elsewhere.json'"}


def test_what_the_store_lacks_is_run_first(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(run_module, "main", lambda words: asked.append(words) or 0)
    assert main(["warmup"]) == 0
    assert asked == [["--study", "warmup", "--params", "params.yaml"]]


def test_a_study_that_is_not_part_of_the_set_leaves_a_table_without_a_row(here: Path, capsys) -> None:
    assert main(["loss_terms"]) == 0
    assert rows(here / "results" / "loss_terms.csv") == []
    assert list((here / "results" / "loss_terms").iterdir()) == []
    assert "results/loss_terms.csv: not part of set 'mine'" in capsys.readouterr().out


def test_wrong_params_are_one_line_and_status_2(here: Path, capsys) -> None:
    Path("params.yaml").write_text("set: your\n")
    assert main(["warmup"]) == 2
    assert capsys.readouterr().err == ("error: params.yaml: set 'your': no file experiments/sets/your.yaml\n")


def test_a_study_outside_the_set_waits_for_no_torch() -> None:
    code = (
        "import sys, experiments.collect; print([name for name in ('torch', 'ray', 'mlflow') if name in sys.modules])"
    )
    root = Path(run_module.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
