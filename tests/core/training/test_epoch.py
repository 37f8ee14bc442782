"""Which images the steps of an epoch see, and how many epochs see boxes only."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from core.compute.workers import Workers
from core.config import Config, TrainingConfig
from core.structures import Batch
from core.training import epoch as epoch_of_steps
from core.training.effective_batch import steps_per_epoch
from core.training.epoch import boxes_only_epochs, epoch_batches, epoch_order
from tests.core.training.tiny_training import root, run, tiny

__all__ = ["root"]  # a fixture


def batches_of(num_images: int, *, batch_size: int, accumulation: int, num_workers: int) -> list[list[list[int]]]:
    """Each worker's batches of epoch 0, by rank."""
    training = TrainingConfig(batch_size=batch_size, accumulation=accumulation)
    workers = [Workers(rank, num_workers) for rank in range(num_workers)]
    return [epoch_batches(num_images, training, worker, seed=3, epoch=0) for worker in workers]


def test_each_epoch_sees_every_image_once_in_another_order() -> None:
    first, second = epoch_order(20, seed=3, epoch=0), epoch_order(20, seed=3, epoch=1)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert first == epoch_order(20, seed=3, epoch=0)
    assert first != epoch_order(20, seed=4, epoch=0)


def test_steps_take_the_images_in_the_order_of_their_seed_and_epoch(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, original = [], epoch_of_steps.train_step

    def recorded(model: nn.Module, optimizer: Any, batches: list[Batch], config: Config, **settings: Any) -> Any:
        seen.append((model.training, [i for batch in batches for i in batch.image_ids], settings))
        return original(model, optimizer, batches, config, **settings)

    monkeypatch.setattr(epoch_of_steps, "train_step", recorded)
    run(tiny(root, training={"epochs": 2, "evaluate_every": 1}), tmp_path, seed=3)
    orders = [epoch_order(6, seed=3, epoch=epoch) for epoch in (0, 1)]
    assert [image_id for _, image_ids, _ in seen for image_id in image_ids] == [i + 1 for i in orders[0] + orders[1]]
    assert [settings["step"] for _, _, settings in seen] == list(range(6))
    assert {(training, settings["steps"], settings["seed"]) for training, _, settings in seen} == {(True, 6, 3)}


def test_a_data_set_smaller_than_one_step_comes_again_until_the_step_is_full() -> None:
    a, b, c = epoch_order(3, seed=3, epoch=0)
    assert steps_per_epoch(3, images_per_step=4) == 1
    assert batches_of(3, batch_size=2, accumulation=2, num_workers=1) == [[[a, b], [c, a]]]
    # In the order of all batches, the first worker's and the second's by turns: ab ca bc ab
    both = batches_of(3, batch_size=2, accumulation=2, num_workers=2)
    assert both == [[[a, b], [b, c]], [[c, a], [a, b]]]


def test_one_image_fills_every_batch_of_every_worker() -> None:
    assert batches_of(1, batch_size=2, accumulation=2, num_workers=3) == [[[0, 0], [0, 0]]] * 3


def test_no_image_comes_twice_where_they_fill_a_step_and_the_rest_waits_for_another_epoch() -> None:
    order = epoch_order(11, seed=3, epoch=0)
    first, second = batches_of(11, batch_size=2, accumulation=2, num_workers=2)  # 11 images: one step of 8
    assert [first[0], second[0], first[1], second[1]] == [order[i : i + 2] for i in range(0, 8, 2)]


@pytest.mark.parametrize(
    ("boxes_first", "epochs", "expected"),
    [
        (0.75, 24, 18),
        (0.5, 3, 2),  # 1.5: to the even
        (0.1, 4, 1),  # 0.4: one at least
        (0.9, 4, 3),  # 3.6: one at least is left
        (0.99, 2, 1),
        (0.0, 1, 0),
    ],
)
def test_boxes_first_leaves_each_phase_an_epoch(boxes_first: float, epochs: int, expected: int) -> None:
    assert boxes_only_epochs(boxes_first, epochs) == expected


def test_one_epoch_cannot_be_parted() -> None:
    message = r"supervision\.boxes_first is 0\.5, but the schedule has 1 epoch, expected at least 2"
    with pytest.raises(ValueError, match=message):
        boxes_only_epochs(0.5, 1)
