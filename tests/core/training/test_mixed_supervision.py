"""Trainings on boxes for some and masks for others: which loss terms act when, and that a resume changes nothing."""

import shutil
from pathlib import Path

import pytest

from core.compute.compute import Compute
from core.config import Config
from core.config.loss import MASK_TERMS
from core.training.loop import TrainingResult, train
from tests.core.training.tiny_training import root, tiny

__all__ = ["root"]  # a fixture


def run(config: Config, folder: Path, **arguments) -> TrainingResult:
    return train(config, 0, Compute(), folder=folder, **arguments)


def mask_terms(result: TrainingResult) -> list[set[str]]:
    """The terms of the mask loss that were not 0, by epoch."""
    return [{term for term in MASK_TERMS if numbers.get(f"loss/{term}", 0) > 0} for numbers in result.curves]


def test_boxes_first_then_masks_of_the_images_that_have_them(root: Path, tmp_path: Path) -> None:
    config = tiny(root, supervision={"mask_ratio": 0.34, "boxes_first": 0.5}, training={"evaluate_every": None})
    result = run(config, tmp_path / "whole")
    assert mask_terms(result) == [{"projection", "pairwise"}] * 2 + [{"dice"}] * 2
    assert [numbers["step"] for numbers in result.curves] == [3, 6, 9, 12]  # as many steps whatever the images


def test_a_two_phase_training_resumes_to_the_bit(root: Path, tmp_path: Path) -> None:
    config = tiny(root, supervision={"mask_ratio": 0.34, "boxes_first": 0.5}, training={"evaluate_every": None})
    undisturbed = run(config, tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill(numbers: dict[str, float]) -> None:
        if numbers["epoch"] == 3:
            raise Killed

    with pytest.raises(Killed):
        run(config, tmp_path / "killed", on_epoch=kill)
    resumed = run(config, tmp_path / "killed")
    for numbers, expected in zip(resumed.curves, undisturbed.curves, strict=True):
        assert {**numbers, "seconds": 0} == {**expected, "seconds": 0}
    shutil.rmtree(tmp_path / "killed")


def test_two_phases_in_one_epoch_are_refused_before_the_images_are_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.loop.data_digest", None)
    config = tiny(root, supervision={"mask_ratio": 0.34, "boxes_first": 0.5}, training={"epochs": 1})
    with pytest.raises(ValueError, match=r"boxes_first is 0\.5, but the schedule has 1 epoch, expected at least 2"):
        run(config, tmp_path)


def test_boxes_come_first_for_an_epoch_however_small_their_share(root: Path, tmp_path: Path) -> None:
    supervision = {"mask_ratio": 0.34, "boxes_first": 0.1}
    config = tiny(root, supervision=supervision, training={"epochs": 2, "evaluate_every": None})
    assert mask_terms(run(config, tmp_path)) == [{"projection", "pairwise"}, {"dice"}]


def test_masks_for_some_categories_mix_both_losses_in_one_batch(root: Path, tmp_path: Path) -> None:
    config = tiny(
        root,
        supervision={"mask_ratio": 1.0, "mask_categories": ["ellipse", "triangle"]},
        training={"epochs": 1, "batch_size": 6},
    )
    assert mask_terms(run(config, tmp_path)) == [{"dice", "projection", "pairwise"}]


def test_few_images_with_masks_and_nothing_else_train_as_many_steps(root: Path, tmp_path: Path) -> None:
    config = tiny(root, supervision={"mask_ratio": 0.34, "image_ratio": 0.34}, training={"epochs": 2})
    result = run(config, tmp_path)
    assert mask_terms(result) == [{"dice"}] * 2
    assert result.curves[-1]["step"] == 6


def test_the_redesigned_loss_trains_on_true_masks(root: Path, tmp_path: Path) -> None:
    loss = {"dice": 0.0, "projection": 0.0, "pairwise": 0.0, "mask_projection": 1.0, "mask_pairwise": 1.0}
    result = run(tiny(root, loss=loss, supervision={"mask_ratio": 1.0}, training={"epochs": 2}), tmp_path)
    assert mask_terms(result) == [{"mask_projection", "mask_pairwise"}] * 2
    assert result.curves[1]["loss/mask_projection"] < result.curves[0]["loss/mask_projection"]


def test_masks_without_a_term_that_learns_from_them_are_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"some instances have masks .*mask_ratio is 0.5\), but"):
        run(tiny(root, loss={"dice": 0.0}, supervision={"mask_ratio": 0.5}), tmp_path)
