"""What a training refuses: checkpoints of others, other categories, and nothing to learn from."""

import json
from pathlib import Path

import pytest

from core.checkpoints.checkpoint import load_checkpoint
from tests.core.training.tiny_training import root, run, tiny

__all__ = ["root"]  # a fixture


def test_a_checkpoint_of_another_config_is_refused(root: Path, tmp_path: Path) -> None:
    run(tiny(root, training={"epochs": 1}), tmp_path)
    with pytest.raises(ValueError, match=r"checkpoint\.pt: written for another seed: found 0, expected 1"):
        run(tiny(root, training={"epochs": 1}), tmp_path, seed=1)


def test_a_truncated_checkpoint_is_named(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ValueError, match=r"checkpoint\.pt: not a torch file"):
        load_checkpoint(path, config=tiny(root), seed=0, data_digest="", device="cpu")


def test_validation_images_of_other_categories_are_refused(root: Path, tmp_path: Path) -> None:
    content = json.loads((root / "instances_val.json").read_text())
    content["categories"][0]["name"] = "blob"
    (tmp_path / "val.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"val\.json: categories are \['blob', .* expected those of .*'ellipse'"):
        run(tiny(root, data={"val_annotations": str(tmp_path / "val.json")}), tmp_path)


def test_a_mask_loss_without_anything_to_learn_from_is_refused(root: Path, tmp_path: Path) -> None:
    loss = {"projection": 0.0, "pairwise": 0.0}
    with pytest.raises(ValueError, match=r"instances_train\.json: no instance with a mask .*mask_ratio is 0\)"):
        run(tiny(root, loss=loss), tmp_path)
