"""Trainings on masks from a file: the same, to the bit, as on equal masks from anywhere else."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from core.annotate.__main__ import main as annotate
from core.checkpoints.checkpoint import TEACHER
from core.pseudo_masks.grabcut import PSEUDO_MASKS
from core.train import main as train_by_command
from core.training.loop import TrainingResult
from tests.core.training.tiny_training import comparable, root, run, tiny

__all__ = ["root"]  # a fixture

DICE_ONLY = {"dice": 1.0, "projection": 0.0, "pairwise": 0.0}
FROM_FILE = {"pseudo_masks": {"file": "masks/masks.json"}}


@pytest.fixture
def data(root: Path, tmp_path: Path) -> Path:
    """A data set whose masks of training images cannot be read, as nothing should."""
    folder = shutil.copytree(root, tmp_path / "data")
    content = boxes_of(folder)
    for annotation in content["annotations"]:
        annotation["segmentation"] = "unread"
    (folder / "instances_train.json").write_text(json.dumps(content))
    (folder / "masks").mkdir()
    return folder


def boxes_of(folder: Path) -> dict[str, Any]:
    """The training file without its masks."""
    content = json.loads((folder / "instances_train.json").read_text())
    for annotation in content["annotations"]:
        annotation.pop("segmentation", None)
    return content


def fill_by_grabcut(data: Path) -> Path:
    """Let `core.annotate` make the file of masks; returns it."""
    boxes = data / "boxes.json"
    boxes.write_text(json.dumps(boxes_of(data)))
    words = ["--grabcut", "--images", data / "train", "--boxes", boxes, "--out", data / "masks", "--pictures", "none"]
    assert annotate(list(map(str, words))) == 0
    return (data / "masks" / "annotations.json").rename(data / "masks" / "masks.json")


def trained(data: Path, folder: Path, **supervision: Any) -> TrainingResult:
    return run(tiny(data, loss=DICE_ONLY, supervision=supervision, training={"epochs": 2}), folder)


def test_grabcuts_masks_from_a_file_train_as_those_cut_on_the_fly(data: Path, tmp_path: Path) -> None:
    path = fill_by_grabcut(data)
    from_file = trained(data, tmp_path / "file", **FROM_FILE)
    assert comparable(from_file) == comparable(trained(data, tmp_path / "fly", pseudo_masks="grabcut"))
    assert not (tmp_path / "file" / PSEUDO_MASKS).exists()  # it is data: nothing was made
    content = json.loads(path.read_text())
    others = {annotation["id"]: annotation["segmentation"] for annotation in content["annotations"]}
    made = json.loads((tmp_path / "fly" / PSEUDO_MASKS).read_text())
    assert {annotation["id"]: annotation["segmentation"] for annotation in made["annotations"]} == others


def test_a_teachers_masks_from_a_file_train_as_with_the_teacher(data: Path, tmp_path: Path) -> None:
    config = tiny(data, supervision={"pseudo_masks": "teacher"}, training={"epochs": 1})
    with_teacher = run(config, tmp_path / "teacher")
    shutil.copy(tmp_path / "teacher" / PSEUDO_MASKS, data / "masks" / "masks.json")
    from_file = run(tiny(data, supervision=FROM_FILE, training={"epochs": 1}), tmp_path / "file")
    assert comparable(from_file) == comparable(with_teacher)
    assert not (tmp_path / "file" / TEACHER).exists()


def test_true_masks_from_a_file_train_as_full_supervision(root: Path, data: Path, tmp_path: Path) -> None:
    shutil.copy(root / "instances_train.json", data / "masks" / "masks.json")
    from_file = trained(data, tmp_path / "file", **FROM_FILE)
    assert comparable(from_file) == comparable(trained(root, tmp_path / "full", mask_ratio=1.0))


def test_an_instance_without_a_mask_in_the_file_learns_from_its_box(data: Path, root: Path, tmp_path: Path) -> None:
    content = json.loads((root / "instances_train.json").read_text())
    for annotation in content["annotations"][::2]:
        del annotation["segmentation"]
    (data / "masks" / "masks.json").write_text(json.dumps(content))
    config = tiny(data, supervision=FROM_FILE, training={"epochs": 1})
    (numbers,) = run(config, tmp_path / "mixed").curves
    assert all(numbers[f"loss/{term}_unweighted"] > 0 for term in ("dice", "projection", "pairwise"))
    (dice_only,) = run(tiny(data, loss=DICE_ONLY, supervision=FROM_FILE, training={"epochs": 1}), tmp_path / "d").curves
    assert dice_only["loss/dice_unweighted"] > 0


def test_the_file_is_read_once_and_its_content_belongs_to_the_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened, original = fill_by_grabcut(data), Counter(), Path.open

    def counted(path: Path, *given: Any, **other: Any) -> Any:
        opened[path.name] += 1
        return original(path, *given, **other)

    monkeypatch.setattr(Path, "open", counted)
    first = trained(data, tmp_path / "run", **FROM_FILE)
    assert (opened["masks.json"], opened["instances_train.json"]) == (1, 1)
    monkeypatch.undo()
    path.rename(data / "renamed.json")
    renamed = trained(data, tmp_path / "run", pseudo_masks={"file": "renamed.json"})  # resumed, at its end
    assert comparable(renamed) == comparable(first)
    content = json.loads((data / "renamed.json").read_text())
    (data / "renamed.json").write_text(json.dumps(content | {"info": "another"}))
    with pytest.raises(ValueError, match="written for another data_digest"):
        trained(data, tmp_path / "run", pseudo_masks={"file": "renamed.json"})


def test_a_wrong_file_stops_a_training_before_it_starts(data: Path, tmp_path: Path) -> None:
    content = boxes_of(data)
    content["annotations"][0] |= {"id": 1000, "segmentation": [[0, 0, 9, 0, 9, 9]]}
    (data / "masks" / "masks.json").write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r"masks/masks\.json: 1 problem.*\n  annotation 1000 .*no annotation has this id"
    ):
        trained(data, tmp_path / "run", **FROM_FILE)
    assert not (tmp_path / "run").exists()


def test_what_annotate_writes_is_trained_on_by_the_command(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture
) -> None:
    path = fill_by_grabcut(data)
    words = ["--recipe=tiny", "--data-root", str(data), "--folder", str(tmp_path / "run"), "--loader-processes=0"]
    words += ["--device=cpu", "--threads=1", "--set", "training.steps=2", "--set", "data.val_short_side=64"]
    with caplog.at_level("INFO"):
        assert train_by_command([*words, "--set", "supervision.pseudo_masks.file=masks/masks.json"]) == 0
    (line,) = (message for message in caplog.messages if message.startswith("training "))
    assert line.endswith(f"11 with a mask, 0 box only (annotated, or from {path})")
    assert train_by_command([*words, "--set", "supervision.pseudo_masks.file=../masks.json"]) == 2
    assert "expected a path inside the data folder, relative to it" in capsys.readouterr().err
    assert train_by_command([*words, "--set", "supervision.pseudo_masks={file: gone.json}"]) == 2
    assert f"{data / 'gone.json'}: cannot be read" in capsys.readouterr().err
