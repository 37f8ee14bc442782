"""The command line that trains one recipe."""

import json
from pathlib import Path

import pytest

from core.train import main
from tests.core.test_training import root

__all__ = ["root"]  # a fixture

SMALL = ["training.batch_size=2", "training.steps=2", "data.val_short_side=64", "inference.score_threshold=0"]


def run(root: Path, folder: Path, *options: str) -> int:
    changes = [word for pair in SMALL for word in ("--set", pair)]
    given = ["--recipe", "smoke", "--data-root", str(root), "--folder", str(folder), "--loader-processes", "0"]
    return main([*given, *changes, "--device", "cpu", "--threads", "1", *options])


def test_a_recipe_is_trained_evaluated_and_written_and_the_schedule_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert run(root, tmp_path, "--set", "training.accumulation=2", "--set", "training.schedule_batch_size=2") == 0
    assert (
        "2 images x 2 accumulated x 1 workers = 4 images a step (the recipe's schedule is for 2): 1 steps"
        in caplog.text
    )
    assert "AP50" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "metrics.json", "bbox.json", "segm.json"}
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert set(content) == {"metrics", "per_class"}
    assert len(json.loads((tmp_path / "bbox.json").read_text())) == len(
        json.loads((tmp_path / "segm.json").read_text())
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--set", "training.stepz=1"), "did you mean 'training.steps'"),
        (("--set", "training.steps"), "expected NAME=VALUE"),
        (("--recipe", "coco_r50"), "recipe 'coco_r50': no file"),
        (("--data-root", "/nowhere"), "/nowhere"),
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: tuple[str, ...], message: str
) -> None:
    assert run(root, tmp_path, *options) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert message in errors
