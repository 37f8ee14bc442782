"""The moving average of the network as a teacher: weights and labels by hand, and a training that learns from it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from core.checkpoints.checkpoint import load_trained, save_checkpoint
from core.checkpoints.state import EMA_TEACHER
from core.compute.compute import Compute
from core.compute.interrupt import Stopped
from core.compute.workers import ALONE, Workers
from core.config import Config
from core.neighborhood import Neighborhood
from core.pseudo_masks.ema_teacher import EmaTeacher, box_agreement, color_agreement
from core.structures import Annotations, Batch, Predictions
from core.targets.edges import supervised_edges
from core.targets.mask_targets import build_mask_targets
from core.training.loop import TrainingResult, train
from tests.core.pseudo_masks.test_teacher import HalfPlanes
from tests.core.training.test_stop import asked_at
from tests.core.training.tiny_training import comparable, root, tiny

__all__ = ["root"]  # a fixture

WITH_TEACHER = {
    "supervision": {"ema_teacher": {"decay": 0.9, "start": 0.5}},
    "loss": {"dice": 0, "ema_masks": 1.0},
}


def with_teacher(root: Path, **sections: dict) -> Config:
    return tiny(root, **sections, **WITH_TEACHER)


class Numbers(nn.Module):
    """A weight, and a batch norm with the statistics of its own images."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))
        self.norm = nn.BatchNorm2d(1)


class Second(Workers):
    """The second of two workers; the first has a batch norm of mean 7."""

    def copy_from_first(self, model: nn.Module) -> None:
        assert isinstance(model, nn.BatchNorm2d)
        model.running_mean.fill_(7.0)


def test_the_average_follows_the_network_by_hand(root: Path) -> None:
    student = Numbers()
    teacher = EmaTeacher(student, with_teacher(root))
    average, of_norm = teacher.model.weight, teacher.model.norm.running_mean
    with torch.no_grad():
        student.weight.fill_(11.0)
    teacher.update(0, ALONE)  # d = 1 / 10: 0.1 * 1 + 0.9 * 11
    assert average.item() == pytest.approx(10.0)
    teacher.update(8, ALONE)  # d = 9 / 18: half of each
    assert average.item() == pytest.approx(10.5)
    student.norm.running_mean.fill_(2.0)
    teacher.update(1000, ALONE)  # d = 1001 / 1010 = 0.99 is above the decay, 0.9
    assert average.item() == pytest.approx(10.55)
    assert of_norm.item() == pytest.approx(0.2)
    assert not average.requires_grad
    assert student.weight.item() == 11.0


def test_statistics_of_batch_norms_are_those_of_the_first_worker(root: Path) -> None:
    student = Numbers()
    teacher = EmaTeacher(student, with_teacher(root))
    teacher.update(8, Second(1, 2))
    assert teacher.model.norm.running_mean.item() == 7.0
    assert teacher.model.weight.item() == 1.0  # equal on all workers: not asked for


GRID = torch.zeros(1, 5, 6, dtype=torch.bool)


def filled(rows: slice, columns: slice) -> Tensor:
    mask = GRID.clone()
    mask[0, rows, columns] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "agreement"),
    [
        (filled(slice(1, 4), slice(1, 5)), 1.0),  # the box, 3 x 4 cells
        (filled(slice(1, 4), slice(1, 3)), 6 / 12),  # its left half
        (filled(slice(1, 4), slice(3, 6)), 6 / 15),  # its right half and a column beyond: 9 + 12 - 6
        (filled(slice(1, 2), slice(1, 2)) | filled(slice(3, 4), slice(4, 5)), 1.0),  # two corners span it
        (filled(slice(0, 1), slice(0, 6)), 0.0),  # beside it
        (GRID, 0.0),
    ],
)
def test_a_mask_agrees_with_its_box_as_far_as_its_extent_does(mask: Tensor, agreement: float) -> None:
    box = filled(slice(1, 4), slice(1, 5))
    assert box_agreement(mask, box).item() == pytest.approx(agreement)
    assert box_agreement(mask.mT, box.mT).item() == pytest.approx(agreement)
    assert box_agreement(mask, GRID).item() == 0.0


def test_a_mask_agrees_with_colors_as_far_as_its_border_crosses_no_similar_pixels() -> None:
    # A row of six pixels, the box over all; similar are 0-1, 1-2, 3-4 and 4-5: the color changes between 2 and 3.
    near = Neighborhood(3, 1)
    similar = torch.zeros(1, 8, 1, 6, dtype=torch.bool)
    similar[0, near.offsets.index((0, 1)), 0, [0, 1, 3, 4]] = True
    box = torch.ones(5, 1, 6, dtype=torch.bool)
    edges = supervised_edges(box, similar, torch.zeros(5, dtype=torch.int64), near)
    masks = torch.zeros_like(box)
    masks[0, 0, :3] = True  # ends where the color does: 0-1 and 1-2 in it
    masks[1, 0, :2] = True  # 0-1 in it, 1-2 crosses its border
    masks[2, 0, 1] = True  # both cross it
    masks[3, 0, :4] = True  # 0-1 and 1-2 in it, 3-4 crosses
    assert color_agreement(masks, edges).tolist() == pytest.approx([1, 1 / 2, 0, 2 / 3, 1])  # the last has no edge


def gray_batch(boxes: list[list[float]]) -> Batch:
    tensor = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    count = len(tensor)
    annotations = Annotations(
        boxes=tensor,
        labels=torch.zeros(count, dtype=torch.int64),
        has_mask=torch.zeros(count, dtype=torch.bool),
        masks=torch.zeros(count, 8, 16, dtype=torch.bool),
        mask_centroids=(tensor[:, :2] + tensor[:, 2:]) / 2,
    )
    images = torch.full((1, 3, 32, 64), 90, dtype=torch.uint8)
    return Batch(images, [annotations], [(32, 64)], [1], [(32, 64)], [0])


class Labeler(HalfPlanes):
    def predict_masks(
        self, predictions: Predictions, image_index: Tensor, location_index: Tensor, num_per_image: list[int]
    ) -> Tensor:
        assert sum(num_per_image) == len(image_index)
        return super().predict_masks(predictions, image_index, location_index)


def labels_of(root: Path, batch: Batch, *, step: int) -> tuple[list[Any], list[float]]:
    """Masks and weights of a teacher whose mask at a location is all that lies left of it, best at x = 20."""
    config = with_teacher(root)
    teacher = EmaTeacher(Labeler([(20.0, 12.0)]), config)
    of_batch = build_mask_targets(batch, config.loss)
    of_batch = replace(of_batch, similar_edges=None)
    found = teacher.labels(batch, of_batch, step=step, steps=10)
    return found.masks, found.weights.tolist()


def test_a_box_is_labeled_by_its_best_location_and_the_mask_cut_to_it(root: Path) -> None:
    # Of the box at 0..32, x = 20 is a location of stride 8: all cells left of it, centers 2, 6, 10, 14, 18. They span
    # 5 of the 8 columns of the box, in all of its rows. The other box is too thin for a location in it.
    masks, weights = labels_of(root, gray_batch([[0, 0, 31, 31], [40, 0, 41, 31]]), step=5)
    assert masks[0].int().tolist() == [[1] * 5 + [0] * 11] * 8
    assert weights == pytest.approx([5 / 8, 0])
    assert not masks[1].any()


def test_before_its_start_and_without_boxes_it_labels_nothing(root: Path) -> None:
    masks, weights = labels_of(root, gray_batch([[0, 0, 31, 31]]), step=4)  # start 0.5 of ten steps: from step 5 on
    assert (masks.any().item(), weights) == (False, [0])
    masks, weights = labels_of(root, gray_batch([]), step=9)
    assert (masks.shape, weights) == ((0, 8, 16), [])


def run(config: Config, folder: Path, *stops: int) -> TrainingResult:
    return train(config, 0, Compute(stop=asked_at(*stops)), folder=folder)


def test_a_training_learns_from_it_and_goes_on_equal_to_the_bit(root: Path, tmp_path: Path) -> None:
    # Six epochs of three steps, labels from step 9 on; stopped before step 5, within the burn-in, and before step 14.
    config = with_teacher(root, training={"epochs": 6, "evaluate_every": 6})
    whole = run(config, tmp_path / "whole")
    for call in (6, 10):
        with pytest.raises(Stopped):
            run(config, tmp_path / "stopped", call)
    resumed = run(config, tmp_path / "stopped")
    assert comparable(resumed) == comparable(whole)
    states = [load_trained(tmp_path / name / "checkpoint.pt", "cpu")[1] for name in ("whole", "stopped")]
    for part in ("model", EMA_TEACHER):
        assert all(torch.equal(states[0][part][name], states[1][part][name]) for name in states[0][part])
    distance = [(states[0]["model"][name] - value).abs().max() for name, value in states[0][EMA_TEACHER].items()]
    assert max(distance) > 0  # an average, not a copy
    terms = [numbers["loss/ema_masks"] for numbers in whole.curves]
    assert terms[:3] == [0, 0, 0]
    assert min(terms[3:]) > 0


def test_the_loss_falls_though_a_term_joins_in_the_middle(root: Path, tmp_path: Path) -> None:
    config = with_teacher(root, training={"epochs": 16, "evaluate_every": 16})
    curves = run(config, tmp_path).curves
    assert curves[-1]["loss/total"] < 0.8 * curves[0]["loss/total"]
    assert curves[7]["loss/ema_masks"] == 0 < curves[8]["loss/ema_masks"]


def test_a_checkpoint_without_it_is_refused_by_name(root: Path, tmp_path: Path) -> None:
    config = with_teacher(root, training={"epochs": 2, "evaluate_every": 2})
    with pytest.raises(Stopped):
        run(config, tmp_path, 5)
    path = tmp_path / "checkpoint.pt"
    state = load_trained(path, "cpu")[1]
    state.pop(EMA_TEACHER)
    digest = torch.load(path, weights_only=True)["data_digest"]
    save_checkpoint(path, state, config=config, seed=0, data_digest=digest)
    with pytest.raises(ValueError, match=r"checkpoint\.pt: state\.ema_teacher is None, expected the tensors"):
        run(config, tmp_path)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"loss": {"ema_masks": 1.0}},
            "loss.ema_masks is 1 and supervision.ema_teacher is null, expected a weight and",
        ),
        ({"supervision": {"ema_teacher": {}}}, "loss.ema_masks is 0 and supervision.ema_teacher is set"),
        (
            WITH_TEACHER | {"model": {"architecture": "mask_rcnn"}},
            "ema_teacher is set, but model.architecture is mask_rcn",
        ),
        (
            {"supervision": {"ema_teacher": {}, "pseudo_masks": "grabcut"}},
            "leaves ema_teacher no instance without a mask",
        ),
        ({"supervision": {"ema_teacher": {"decay": 1.0}}}, "less than 1"),
    ],
)
def test_settings_that_do_not_fit_are_refused(sections: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Config(**sections)
