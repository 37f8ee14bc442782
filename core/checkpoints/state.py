"""The state in a checkpoint, checked before use: the file may come from elsewhere, or from another version."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.files.tensors import is_dense

SHOWN = 10  # names of each kind that an error message lists
EMA_TEACHER = "ema_teacher"  # the part with the tensors of the moving average, if a training has one


def network_tensors(state: Mapping[str, Any], path: Path, part: str = "model") -> dict[str, Tensor]:
    """The tensors of the network, by name; of the moving average as `part`.

    Raises:
        ValueError: if there are none, or if one is not a dense tensor of finite numbers; names the file and the tensor.
    """
    tensors = state.get(part)
    if not isinstance(tensors, dict) or not tensors:
        raise ValueError(f"{path}: state.{part} is {tensors!r:.60}, expected the tensors of a network by name")
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise ValueError(f"{path}: state.{part} has the name {name!r:.60}, expected text")
        if problem := _problem(tensor):
            raise ValueError(f"{path}: state.{part}: '{name}' {problem}")
    return tensors


def _problem(tensor: Any) -> str | None:
    if not isinstance(tensor, Tensor):
        return f"is {tensor!r:.60}, expected a tensor"
    if not is_dense(tensor):
        return f"is a tensor of another kind ({tensor.layout}, {tensor.dtype}), expected a dense one with its numbers"
    if not torch.isfinite(tensor).all():
        return f"has {int((~torch.isfinite(tensor)).sum())} numbers that are not finite"
    return None


def class_names(state: Mapping[str, Any], path: Path) -> list[str]:
    """The class names of a trained network, in the order of its labels.

    Raises:
        ValueError: if they are not different, non-empty texts; names the file and the value found.
    """
    names = state.get("categories")
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path}: state.categories is {names!r:.60}, expected the names of the classes")
    for place, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"{path}: state.categories: {name!r:.60} at place {place + 1}, expected the name of a class"
            )
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"{path}: state.categories: {twice[0]!r:.60} stands there twice, expected different names")
    return names


def classes(state: Mapping[str, Any], path: Path) -> list[dict[str, int | str]]:
    """The classes of a trained network, by label, as entries of a COCO file: `id` and `name`.

    The ids are those of the training data, or 1, 2, ... if the version that wrote the checkpoint did not store them.

    Raises:
        ValueError: as `class_names`, or if there is not one integer of its own for each; names the file and the value.
    """
    names = class_names(state, path)
    ids = state.get("category_ids", list(range(1, len(names) + 1)))
    if not isinstance(ids, list) or not all(type(i) is int for i in ids) or not len(set(ids)) == len(ids) == len(names):
        raise ValueError(f"{path}: state.category_ids is {ids!r:.60}, expected {len(names)} different integers")
    return [{"id": category_id, "name": name} for category_id, name in zip(ids, names, strict=True)]


def load_tensors(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Load all tensors of a network of ours; the network is changed only if every one fits.

    Raises:
        ValueError: if tensors are missing or unexpected, or of another shape or type; lists them.
    """
    expected = model.state_dict()
    kinds = {
        "missing": [name for name in expected if name not in tensors],
        "unexpected": [name for name in tensors if name not in expected],
        "other than expected": [
            f"{name}: {_shown(tensor)} instead of {_shown(expected[name])}"
            for name, tensor in tensors.items()
            if name in expected and _shown(tensor) != _shown(expected[name])
        ],
    }
    if problems := [f"{len(names)} {kind} ({_shortened(names)})" for kind, names in kinds.items() if names]:
        raise ValueError(f"{path}: tensors do not fit this network: {'; '.join(problems)}")
    model.load_state_dict(tensors)


def _shown(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


def _shortened(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
