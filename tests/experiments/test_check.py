"""The quick check before a run: one clean line for what is wrong, and no waiting for torch."""

import subprocess
import sys
from pathlib import Path

import pytest

from experiments.check import main
from tests.experiments.conftest import write_params


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "error: data.root 'datasets/mine': no such folder"),
        ({"rest": "seed: [0]"}, "unknown key 'seed' (did you mean 'seeds'?)"),
        ({"rest": "settings: {training.epoch: 3}"}, "did you mean 'training.epochs'"),
        ({"studies": "[loss_term]"}, "did you mean 'loss_terms'"),
        ({"recipe": "shape"}, "did you mean 'shapes'"),
        (
            {"recipe": '"x; touch y"'},
            "experiments/sets/mine.yaml: recipe: Value error, expected letters, digits, - and _",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(tmp_path: Path, monkeypatch, capsys, asked, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(Path(), **asked)
    assert main([]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_set_that_is_none_is_named_with_its_nearest(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(Path()).write_text("set: min")
    assert main([]) == 2
    assert "params.yaml: set 'min': no file experiments/sets/min.yaml (did you mean 'mine'?)" in capsys.readouterr().err


def test_a_sound_request_passes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_params(Path())
    Path("datasets/mine").mkdir(parents=True)
    assert main([]) == 0


def test_the_check_loads_neither_torch_nor_ray() -> None:
    code = "import sys, experiments.check; print([name for name in ('torch', 'ray', 'mlflow') if name in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
