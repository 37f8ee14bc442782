"""The parts of a checkpoint's state that only a resumed training reads, checked before they are used."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from core.files.tensors import is_dense
from core.training.epoch import EpochProgress

Curves = list[dict[str, float | int]]  # the numbers of each finished epoch
# What an optimizer keeps for each parameter, of the parameter's shape; AdamW also counts its steps.
KEPT = {torch.optim.AdamW: {"exp_avg", "exp_avg_sq"}, torch.optim.SGD: {"momentum_buffer"}}
COUNT = {torch.optim.AdamW: {"step"}, torch.optim.SGD: set()}


def checked_curves(curves: Any) -> Curves:
    """The numbers of each finished epoch.

    Raises:
        ValueError: if they are not numbers by name for the epochs 1, 2, ...
    """
    if not isinstance(curves, list) or not all(_are_numbers(of_epoch) for of_epoch in curves):
        raise ValueError(f"curves are {curves!r:.60}, expected the numbers of each epoch by name")
    if [of_epoch.get("epoch") for of_epoch in curves] != list(range(1, len(curves) + 1)):
        raise ValueError("curves are not of the epochs 1, 2, ...")
    if lacking := [of_epoch["epoch"] for of_epoch in curves if "seconds" not in of_epoch]:
        raise ValueError(f"curves of epoch {lacking[0]} have no seconds")
    return curves


def checked_progress(state: Any) -> EpochProgress:
    """How far the epoch after the finished ones is.

    Raises:
        ValueError: if a part is missing, unknown, or of another type.
    """
    expected = EpochProgress().state()
    fits = (
        isinstance(state, dict)
        and state.keys() == expected.keys()
        and type(state["steps"]) is int
        and state["steps"] >= 0
        and all(_are_numbers(state[name]) for name in ("sums", "counts"))
        and state["sums"].keys() == state["counts"].keys()
        and all(type(count) is int and count > 0 for count in state["counts"].values())
        and _are_numbers({name: state[name] for name in ("pairwise_warmup", "seconds")})
    )
    if not fits:
        raise ValueError(f"progress is {state!r:.60}, expected {', '.join(expected)}")
    return EpochProgress.from_state(state)


def load_optimizer(optimizer: torch.optim.Optimizer, state: Any) -> None:
    """Load what the optimizer keeps for each parameter; its settings stay those that it was built with.

    Raises:
        ValueError: if the state is not that of this optimizer and these parameters; the optimizer is unchanged.
    """
    groups = optimizer.state_dict()["param_groups"]
    if not isinstance(state, dict) or not isinstance(state.get("state"), dict):
        raise ValueError(f"optimizer is {state!r:.60}, expected its state")
    found = state.get("param_groups")
    found = found if isinstance(found, list) else []
    if [isinstance(group, dict) and group.get("params") for group in found] != [group["params"] for group in groups]:
        raise ValueError("optimizer has other groups of parameters than this network")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    kind = type(optimizer)
    for index, kept in state["state"].items():
        if type(index) is not int or not 0 <= index < len(parameters) or not isinstance(kept, dict):
            raise ValueError(f"optimizer has {kept!r:.60} for parameter {index!r:.60}")
        if problem := _problem(kept, kind, parameters[index]):
            raise ValueError(f"optimizer: parameter {index}: {problem}")
    optimizer.load_state_dict({"state": state["state"], "param_groups": groups})


def _problem(kept: Mapping[Any, Any], kind: type, parameter: Tensor) -> str | None:
    names = KEPT[kind] | COUNT[kind]
    if kept.keys() != names:
        return f"has {list(kept)!r:.60}, expected {', '.join(sorted(names))}"
    for name, value in kept.items():
        if value is None and kind is torch.optim.SGD:  # before the first step, and without momentum
            continue
        shape = torch.Size() if name in COUNT[kind] else parameter.shape
        if (
            not isinstance(value, Tensor)
            or not is_dense(value)
            or (value.shape, value.dtype) != (shape, parameter.dtype)
        ):
            return f"{name} is no {parameter.dtype} tensor of shape {tuple(shape)}"
        if not torch.isfinite(value).all():
            return f"{name} has numbers that are not finite"
    return None


def _are_numbers(values: Any) -> bool:
    return isinstance(values, dict) and all(
        isinstance(name, str) and type(value) in (int, float) for name, value in values.items()
    )
