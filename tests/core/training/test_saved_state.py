"""A resumed training takes nothing of a checkpoint's state that is not its own."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from core.config import TrainingConfig
from core.training.optimizer import build_optimizer
from core.training.saved_state import checked_curves, checked_progress, load_optimizer

PROGRESS = {"steps": 2, "sums": {"loss/dice": 1.5}, "counts": {"loss/dice": 2}, "pairwise_warmup": 0.5, "seconds": 3.0}


def stepped(kind: str) -> torch.optim.Optimizer:
    """An optimizer over a weight of shape 2 x 3 and a bias of 2, after one step."""
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = build_optimizer(model, TrainingConfig(optimizer=kind, schedule_batch_size=None))
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_the_state_of_an_equal_optimizer_is_loaded(kind: str) -> None:
    first, second = stepped(kind), stepped(kind)
    for kept in first.state.values():
        for value in kept.values():
            value.add_(1)
    load_optimizer(second, first.state_dict())
    for mine, theirs in zip(second.state.values(), first.state.values(), strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)


def test_settings_in_the_file_change_nothing() -> None:
    state = stepped("adamw").state_dict()
    state["param_groups"][0] |= {"betas": (0.5, 0.5), "fused": False, "unknown": 1}
    optimizer = stepped("adamw")
    load_optimizer(optimizer, state)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    assert optimizer.param_groups[0]["fused"]
    assert "unknown" not in optimizer.param_groups[0]


def drop_moment(state: dict[str, Any]) -> None:
    del state["state"][0]["exp_avg_sq"]


def other_shape(state: dict[str, Any]) -> None:
    state["state"][0]["exp_avg"] = torch.zeros(3, 2)


def other_type(state: dict[str, Any]) -> None:
    state["state"][0]["exp_avg"] = torch.zeros(2, 3, dtype=torch.float64)


def sparse(state: dict[str, Any]) -> None:
    state["state"][0]["exp_avg"] = torch.zeros(2, 3).to_sparse()


def without_numbers(state: dict[str, Any]) -> None:
    state["state"][0]["exp_avg"] = torch.zeros(2, 3, device="meta")


def not_finite(state: dict[str, Any]) -> None:
    state["state"][0]["exp_avg"] = torch.full((2, 3), float("nan"))


def count_of_steps(state: dict[str, Any]) -> None:
    state["state"][0]["step"] = 3


def another_parameter(state: dict[str, Any]) -> None:
    state["state"][7] = state["state"][0]


def no_dict(state: dict[str, Any]) -> None:
    state["state"] = [1]


def other_groups(state: dict[str, Any]) -> None:
    state["param_groups"][0]["params"] = [0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_moment, "parameter 0: has .*expected exp_avg, exp_avg_sq, step"),
        (other_shape, r"parameter 0: exp_avg is no torch.float32 tensor of shape \(2, 3\)"),
        (other_type, "parameter 0: exp_avg is no torch.float32 tensor"),
        (sparse, "parameter 0: exp_avg is no torch.float32 tensor"),
        (without_numbers, "parameter 0: exp_avg is no torch.float32 tensor"),
        (not_finite, "parameter 0: exp_avg has numbers that are not finite"),
        (count_of_steps, r"parameter 0: step is no torch.float32 tensor of shape \(\)"),
        (another_parameter, "for parameter 7"),
        (no_dict, "optimizer is .*expected its state"),
        (other_groups, "other groups of parameters"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change: Callable[[dict[str, Any]], None], message: str) -> None:
    state = stepped("adamw").state_dict()
    change(state)
    with pytest.raises(ValueError, match=message):
        load_optimizer(stepped("adamw"), state)


@pytest.mark.parametrize("state", [None, 5, {}, {"state": {}}, {"state": {}, "param_groups": 5}, torch.zeros(2)])
def test_what_is_no_state_is_refused(state: Any) -> None:
    with pytest.raises(ValueError, match="optimizer"):
        load_optimizer(stepped("sgd"), state)


def test_progress_is_read_as_it_was_written() -> None:
    progress = checked_progress(PROGRESS)
    assert progress.state() == PROGRESS


@pytest.mark.parametrize(
    "change",
    [
        {"steps": -1},
        {"steps": 1.0},
        {"steps": True},
        {"sums": [1]},
        {"sums": {"loss/box": 1.5}},
        {"sums": {"loss/dice": "1"}},
        {"counts": {"loss/dice": 0}},
        {"seconds": None},
        {"unknown": 1},
    ],
)
def test_other_progress_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="progress is"):
        checked_progress(PROGRESS | change)


@pytest.mark.parametrize(
    ("curves", "message"),
    [
        (None, "curves are None"),
        ({"epoch": 1}, "expected the numbers of each epoch"),
        ([{"epoch": 1, "seconds": "1"}], "expected the numbers of each epoch"),
        ([{"epoch": 2, "seconds": 1.0}], "not of the epochs 1, 2"),
        ([{"epoch": 1}], "epoch 1 have no seconds"),
    ],
)
def test_other_curves_are_refused(curves: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_curves(curves)


def test_curves_may_be_empty_and_hold_a_metric_without_value() -> None:
    curves = [{"epoch": 1, "seconds": 1.0, "mask_AP": float("nan")}]
    assert checked_curves(curves) is curves
    assert checked_curves([]) == []
