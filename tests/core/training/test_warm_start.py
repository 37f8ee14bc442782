"""A training starts from the network of another one, which belongs to what identifies it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from core.checkpoints.checkpoint import load_trained
from core.checkpoints.state import network_tensors
from core.config import Config
from core.training import loop as training
from tests.core.training.tiny_training import comparable, root, run, tiny

__all__ = ["root"]  # a fixture


@pytest.fixture(scope="module")
def first(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a training of one epoch."""
    folder = tmp_path_factory.mktemp("first")
    run(short(root), folder)
    return folder / "checkpoint.pt"


def short(root: Path, **sections: Any) -> Config:
    return tiny(root, **{"training": {"epochs": 1}} | sections)


def tensors(path: Path) -> dict[str, torch.Tensor]:
    return network_tensors(load_trained(path, "cpu")[1], path)


def test_the_first_step_has_the_weights_of_the_checkpoint_and_a_new_optimizer_and_schedule(
    root: Path, tmp_path: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(model: Any, optimizer: Any, *given: Any, **position: Any) -> None:
        seen.append((model.state_dict(), dict(optimizer.state), position["epoch"]))
        raise KeyboardInterrupt

    seen: list[tuple] = []
    monkeypatch.setattr(training, "run_epoch", stop)
    with pytest.raises(KeyboardInterrupt):
        run(short(root), tmp_path, start=first)
    (weights, of_optimizer, epoch), there = seen[0], tensors(first)
    assert (of_optimizer, epoch) == ({}, 0)
    assert all(torch.equal(weights[name], there[name]) for name in there)


def test_the_backbones_own_weights_are_not_read(root: Path, tmp_path: Path, first: Path) -> None:
    missing = short(root, model={"backbone": json.loads(short(root).model.backbone.model_dump_json())})
    backbone = missing.model.backbone.model_copy(update={"weights": "gone.pt"})
    config = missing.model_copy(update={"model": missing.model.model_copy(update={"backbone": backbone})})
    with pytest.raises(ValueError, match=r"no file 'gone\.pt'"):
        run(config, tmp_path / "a")
    run(config, tmp_path / "b", start=first)


def test_it_is_resumed_with_the_same_content_wherever_that_is_and_with_no_other(
    root: Path, tmp_path: Path, first: Path
) -> None:
    folder, moved = tmp_path / "run", tmp_path / "moved.pt"
    shutil.copy(first, moved)
    done = run(short(root), folder, start=first)
    assert comparable(run(short(root), folder, start=moved)) == comparable(done)
    with pytest.raises(ValueError, match=r"t\.pt: this training started from a checkpoint \(SHA-256 [0-9a-f]{16}"):
        run(short(root), folder)
    other = folder / "checkpoint.pt"
    with pytest.raises(ValueError, match="this training started from another checkpoint than --from: its SHA-256 is "):
        run(short(root), folder, start=other)
    with pytest.raises(ValueError, match="this training did not start from a checkpoint; --from starts a new one"):
        run(short(root), first.parent, start=moved)


def test_a_network_that_does_not_fit_is_refused_before_the_images_are_read(
    root: Path, tmp_path: Path, first: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "data_digest", None)
    with pytest.raises(ValueError, match=r"another one than this training's: 'mask_branch.* \(32, .* expected \(16, "):
        run(short(root, model={"mask_branch_channels": 16}), tmp_path, start=first)


def test_a_teacher_starts_from_it_too_and_its_masks_belong_to_it(root: Path, tmp_path: Path, first: Path) -> None:
    config = short(root, supervision={"pseudo_masks": "teacher"})
    run(config, tmp_path, start=first)
    with pytest.raises(ValueError, match=r"teacher/checkpoint\.pt: this training started from a checkpoint"):
        run(short(root, loss={"dice": 0.0}), tmp_path / "teacher")
    with pytest.raises(ValueError, match=r"made for another training: start is '[0-9a-f]+' instead of missing"):
        run(config, tmp_path)
