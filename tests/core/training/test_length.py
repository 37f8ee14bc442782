"""A training of another length goes on from a checkpoint where its first steps are the same, and nowhere else."""

from pathlib import Path
from typing import Any

import pytest

from core.checkpoints.checkpoint import OtherLengthError, load_trained
from core.checkpoints.state import network_tensors
from core.compute.interrupt import Stopped
from core.config import Config
from core.training.length import continues
from core.training.saved_state import checked_progress
from tests.core.training.test_stop import asked_at
from tests.core.training.test_stop import run as run_until
from tests.core.training.tiny_training import comparable, root, run, tiny

__all__ = ["root"]  # a fixture

CONSTANT = {"schedule": "step", "drops": [], "warmup_steps": 2, "evaluate_every": None}
NO_PAIRWISE = {"pairwise": 0.0}


def constant(root: Path, epochs: int, **sections: Any) -> Config:
    return tiny(root, training=CONSTANT | {"epochs": epochs}, loss=NO_PAIRWISE, **sections)


def tensors(folder: Path) -> dict[str, list]:
    state = load_trained(folder / "checkpoint.pt", "cpu")[1]
    return {name: tensor.tolist() for name, tensor in network_tensors(state, folder).items()}


def test_with_a_constant_learning_rate_a_longer_training_is_the_shorter_one_continued_to_the_bit(
    root: Path, tmp_path: Path
) -> None:
    longer = run(constant(root, 2), tmp_path / "longer")
    run(constant(root, 1), tmp_path / "raised")
    raised = run(constant(root, 2), tmp_path / "raised")
    assert tensors(tmp_path / "raised") == tensors(tmp_path / "longer")
    assert comparable(raised)[1] == comparable(longer)[1]
    assert [numbers["epochs"] for numbers in raised.curves] == [2, 2]
    assert raised.curves[1] | {"seconds": 0} == longer.curves[1] | {"seconds": 0}
    with pytest.raises(OtherLengthError, match=r"checkpoint\.pt: of a training of 2 epochs, expected 1 epoch\. "):
        run(constant(root, 1), tmp_path / "raised")  # it has trained more than that


def test_with_a_constant_learning_rate_an_unfinished_training_can_be_made_shorter(root: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run_until(constant(root, 9), tmp_path / "lowered", asked_at(3))
    run(constant(root, 1), tmp_path / "lowered")
    run(constant(root, 1), tmp_path / "shorter")
    assert tensors(tmp_path / "lowered") == tensors(tmp_path / "shorter")


def test_every_other_schedule_depends_on_its_length(root: Path, tmp_path: Path) -> None:
    run(tiny(root, training={"epochs": 1}), tmp_path)
    message = (
        r"checkpoint\.pt: of a training of 1 epoch, expected 3 epochs\. Learning rate and warm-ups depend on the "
        r"length from the first step on: the training cannot be made longer or shorter$"
    )
    with pytest.raises(OtherLengthError, match=message) as refused:
        run(tiny(root, training={"epochs": 3}), tmp_path)
    assert (refused.value.found.epochs, refused.value.expected.epochs) == (1, 3)
    with pytest.raises(OtherLengthError, match=r"of a training of 1 epoch, expected 7 steps\."):
        run(tiny(root, training={"epochs": None, "steps": 7}), tmp_path)
    with pytest.raises(ValueError, match=r"another config: .*training\.epochs is 1 instead of 3.*; delete it to start"):
        run(tiny(root, training={"epochs": 3, "learning_rate": 0.1}), tmp_path)


def state_of(epochs: int, *, steps: int = 0, optimizer: Any = None) -> dict[str, Any]:
    curves = [{"epoch": epoch, "epochs": 9, "seconds": 1.0} for epoch in range(1, epochs + 1)]
    progress = {"steps": steps, "sums": {}, "counts": {}, "pairwise_warmup": 0.0, "seconds": 0.0}
    checked_progress(progress)
    return {"curves": curves, "progress": progress, "optimizer": {"state": {}} if optimizer is None else optimizer}


STEP = {"schedule": "step", "warmup_steps": 2, "epochs": 9}


@pytest.mark.parametrize(
    ("training", "loss", "supervision", "state", "expected"),
    [
        # 3 steps an epoch, 27 in all, now 54: the learning rate drops at step 18 of 27
        (STEP | {"drops": [2 / 3]}, NO_PAIRWISE, {}, state_of(6), True),
        (STEP | {"drops": [2 / 3]}, NO_PAIRWISE, {}, state_of(6, steps=1), False),
        (STEP | {"drops": []}, NO_PAIRWISE, {}, state_of(9), True),
        (STEP | {"drops": []}, NO_PAIRWISE, {}, state_of(9, optimizer={}), False),  # of a finished trial in the store
        (STEP | {"drops": []}, {"pairwise_warmup": 0.0}, {}, state_of(9), True),
        (STEP | {"drops": []}, {"pairwise_warmup": 0.5}, {}, state_of(1), False),
        (STEP | {"drops": []}, {"pairwise_warmup": 0.5}, {}, state_of(0), True),  # nothing is done
        ({"schedule": "one_cycle", "epochs": 9}, NO_PAIRWISE, {}, state_of(1), False),
        # boxes first: 4 of 9 epochs, 9 of 18
        (STEP | {"drops": []}, NO_PAIRWISE, {"boxes_first": 0.5, "mask_ratio": 0.5}, state_of(4), True),
        (STEP | {"drops": []}, NO_PAIRWISE, {"boxes_first": 0.5, "mask_ratio": 0.5}, state_of(4, steps=1), False),
        # the moving average labels from step 9 of 27 on, from 18 of 54
        (STEP | {"drops": []}, NO_PAIRWISE | {"ema_masks": 1.0}, {"ema_teacher": {"start": 1 / 3}}, state_of(3), True),
        (STEP | {"drops": []}, NO_PAIRWISE | {"ema_masks": 1.0}, {"ema_teacher": {"start": 1 / 3}}, state_of(4), False),
    ],
)
def test_the_steps_that_are_done_must_be_equal(
    root: Path, training: dict, loss: dict, supervision: dict, state: dict, expected: bool
) -> None:
    written = tiny(root, training=training, loss=loss, supervision=supervision)
    config = tiny(root, training=training | {"epochs": 18}, loss=loss, supervision=supervision)
    assert continues(config, written.training, state, num_images=6, num_workers=1) is expected
