"""The command line that trains one recipe."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.checkpoints.checkpoint import load_trained
from core.model.condinst import CondInst
from core.train import main
from tests.core.files.test_lock import HOLD
from tests.core.training.tiny_training import root

__all__ = ["root"]  # a fixture

SMALL = ["training.batch_size=2", "training.steps=2", "data.val_short_side=64", "inference.score_threshold=0"]


def run(root: Path, folder: Path, *options: str) -> int:
    changes = [word for pair in SMALL for word in ("--set", pair)]
    given = ["--recipe", "tiny", "--data-root", str(root), "--folder", str(folder), "--loader-processes", "0"]
    return main([*given, *changes, "--device", "cpu", "--threads", "1", *options])


def test_a_recipe_is_trained_evaluated_and_written_and_the_schedule_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        scaled = ("training.accumulation=2", "training.schedule_batch_size=2", "training.optimizer=sgd")
        assert run(root, tmp_path, *(word for change in scaled for word in ("--set", change))) == 0
    assert (
        "2 images x 2 accumulated x 1 workers = 4 images per step (the recipe's schedule is for 2): 1 steps"
        in caplog.text
    )
    assert ", 1 CPU thread(s), network precision float32" in caplog.messages[0]
    assert [message.partition(" (")[0] for message in caplog.messages if message.startswith("epoch ")] == [
        f"epoch 1/1, step 1/1: loss {total_loss(tmp_path):.3f}"
    ]
    printed = capsys.readouterr()
    assert "AP50" in printed.out
    assert printed.err == ""  # no bar: it is no terminal
    path = tmp_path / "checkpoint.pt"
    assert printed.out.splitlines()[-1] == (
        f"masks for new photos: python -m core.annotate --checkpoint {path} --images PHOTOS --out annotated"
    )
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "metrics.json", "bbox.json", "segm.json"}
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert set(content) == {"metrics", "per_class"}
    assert len(json.loads((tmp_path / "bbox.json").read_text())) == len(
        json.loads((tmp_path / "segm.json").read_text())
    )


def total_loss(folder: Path) -> float:
    """The mean loss of the last epoch of a training."""
    return load_trained(folder / "checkpoint.pt", "cpu")[1]["curves"][-1]["loss/total"]


def test_epochs_replace_the_steps_of_the_recipe(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    given = ["--recipe", "tiny", "--data-root", str(root), "--folder", str(tmp_path), "--loader-processes", "0"]
    given += ["--device", "cpu", "--threads", "1", "--epochs", "2", "--set", "data.val_short_side=64"]
    with caplog.at_level("INFO"):
        assert main(given) == 0
    assert caplog.messages[0] == "--epochs 2 in place of the 4 steps of recipe tiny"
    assert [message.partition(":")[0] for message in caplog.messages if message.startswith("epoch ")] == [
        "epoch 1/2, step 1/2",
        "epoch 2/2, step 2/2",
    ]
    assert main([*given, "--epochs", "0"]) == 2
    assert "training.epochs: Input should be greater than or equal to 1, found 0" in capsys.readouterr().err


def test_another_length_is_refused_with_the_command_that_starts_from_the_weights(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "a b"
    assert run(root, folder, "--seed", "3") == 0
    capsys.readouterr()
    assert run(root, folder, "--seed", "3", "--set", "training.steps=3") == 2
    error, _, warm, _, same = capsys.readouterr().err.splitlines()
    assert error.startswith(
        f"error: {folder}/checkpoint.pt: of a training of 2 steps, expected 3 steps. Learning rate "
    )
    start, command = f"--from '{folder}/checkpoint.pt'", "  python -m core.train --recipe tiny --data-root"
    assert warm.startswith(f"{command} {root} --folder '{folder}-3-steps' {start} --set training.steps=3 --set ")
    assert same.startswith(f"{command} {root} --folder '{folder}' --set training.steps=2 --set training.batch_size=2 ")
    for line in (warm, same):
        assert line.count("training.steps") == 1
        assert " --seed 3 " in line
    with caplog.at_level("INFO"):
        assert main(shlex.split(warm)[3:]) == 0
    assert f"start       {folder}/checkpoint.pt, with its 4 classes" in caplog.messages


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", "3"), "--epochs 3 and --set training.steps=2: expected one of them"),
        (("--from", "gone.pt"), "gone.pt: cannot be read (No such file or directory)"),
        (("--set", "training.stepz=1"), "did you mean 'training.steps'"),
        (("--set", "training.steps"), "expected NAME=VALUE"),
        (("--recipe", "coco_r50"), "recipe 'coco_r50': no file"),
        (("--set", "training.schedule_batch_size=16"), "schedule_batch_size is 16, but optimizer is adamw"),
        (("--data-root", "/nowhere"), "/nowhere"),
        (("--data-root", "/nowhere", "--device", "quantum"), "device is 'quantum', expected cpu"),  # before the data
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, options: tuple[str, ...], message: str
) -> None:
    assert run(root, tmp_path, *options) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert message in errors


def test_a_folder_that_cannot_be_made_and_a_loss_that_diverges_end_alike(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    assert run(root, tmp_path / "file" / "run") == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/file/run: Not a directory\n"
    original = CondInst.predict_masks
    monkeypatch.setattr(CondInst, "predict_masks", lambda *given: original(*given) * float("nan"))
    assert run(root, tmp_path / "run") == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: step 0: loss projection, pairwise is not finite")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_training_that_is_asked_to_stop_saves_its_step_and_goes_on_there(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
) -> None:
    steps, original = [], CondInst.predict_masks

    def predict_masks(*given: Any) -> Any:
        if not steps:
            os.kill(os.getpid(), number)
        steps.append(0)
        return original(*given)

    monkeypatch.setattr(CondInst, "predict_masks", predict_masks)
    assert run(root, tmp_path) == status
    assert len(steps) == 1
    said = (
        f"stopped by {signal.Signals(number).name} after 1 of 2 steps; the same command goes on there, from {tmp_path}"
    )
    assert capsys.readouterr().err.splitlines()[-1] == f"{said}/checkpoint.pt"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
    with caplog.at_level("INFO"):
        assert run(root, tmp_path) == 0
    assert len(steps) >= 2
    assert "resumed     after 0 of 1 epoch, 1 of 2 steps" in caplog.messages
    assert caplog.messages[-1].startswith("epoch 1/1, step 2/2: loss ")


def test_a_second_training_in_one_folder_is_told_of_the_first(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], **pipes) as first:
        assert first.stdout.readline() == b"held\n"
        assert run(root, tmp_path) == 2
        first.kill()
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(f"error: {tmp_path}: another training uses this folder (process {first.pid} on ")
    )


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`torchrun --nproc-per-node 2 -m core.train` with these arguments."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    root = Path(__file__).parents[2]
    return subprocess.run(
        [*command, "-m", "core.train", *arguments], capture_output=True, text=True, cwd=root, env=environment
    )


def test_torchrun_writes_once_reports_once_and_ends_with_status_2(root: Path, tmp_path: Path) -> None:
    given = ["--recipe", "tiny", "--data-root", str(root), "--folder", str(tmp_path), "--loader-processes", "0"]
    given += [word for pair in SMALL for word in ("--set", pair)] + ["--device", "cpu", "--threads", "1"]
    first = torchrun(*given)
    assert first.returncode == 0, first.stderr
    assert first.stdout.count("AP75") == 1
    assert first.stderr.count("2 images x 1 accumulated x 2 workers = 4 images per step: 2 steps") == 1
    assert first.stderr.count(", step 1/2: loss ") == first.stderr.count(", step 2/2: loss ") == 1
    assert "it/s" not in first.stderr
    assert "step/s" not in first.stderr
    assert first.stdout.count("masks for new photos: ") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "metrics.json", "bbox.json", "segm.json"}
    assert len(json.loads((tmp_path / "bbox.json").read_text())) > 0

    other = torchrun(*given, "--set", "training.batch_size=1")  # both workers meet the checkpoint of the first
    assert other.returncode != 0
    assert other.stderr.count("error: ") == 1
    assert f"error: {tmp_path}/checkpoint.pt: " in other.stderr
    assert "exitcode  : 2" in other.stderr
