"""Whole trainings of Mask R-CNN on a few generated images."""

from pathlib import Path

import pytest

from core.annotate.detected import annotate
from core.compute.compute import Compute
from tests.core.model.small_mask_rcnn import comparable, config_of, root, run

__all__ = ["root"]  # a fixture


def test_four_images_are_learned_by_heart(root: Path, tmp_path: Path) -> None:
    curves = run(config_of(root, epochs=30, precision="bfloat16"), tmp_path).curves
    assert curves[-1]["loss/mask"] < 0.7 * curves[0]["loss/mask"]
    assert curves[-1]["loss/total"] < 0.5 * curves[0]["loss/total"]


def test_killed_and_resumed_is_equal_to_the_bit_and_its_checkpoint_annotates_photos(root: Path, tmp_path: Path) -> None:
    config = config_of(root)
    whole = run(config, tmp_path / "whole")

    def kill(numbers: dict) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "killed", on_epoch=kill)
    assert comparable(run(config, tmp_path / "killed")) == comparable(whole)
    checkpoint, out = tmp_path / "killed" / "checkpoint.pt", tmp_path / "annotated"
    assert annotate(checkpoint, root / "val", out, Compute(), min_score=0.0).annotations
    assert len(list(out.glob("*.jpg"))) == 4
