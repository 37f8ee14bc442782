"""A trained network from a file: a checkpoint of ours or one of AdelaiDet's, told apart by what is in it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from core.checkpoints.checkpoint import load_trained
from core.checkpoints.released import load_released_weights, our_name
from core.config import Config, ModelConfig
from core.config.dotted import leaves
from core.files.tensors import read_tensors, read_torch_file
from core.model.build import build_model
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn

# Settings that say how a network came to its weights, not what it computes from them.
OF_TRAINING = {"backbone.weights", "backbone.frozen_stages", "class_prior"}


def load_network(path: Path, settings: ModelConfig, categories: Sequence[str], *, device: str) -> CondInst | MaskRcnn:
    """The network of these settings, filled from the file, in eval mode.

    `categories` are the names of the classes that the data has, in the order of its category ids. A checkpoint of
    AdelaiDet's holds none: its classes are taken to be these.

    Raises:
        ValueError: if the file is neither kind of checkpoint, holds another number of classes (says both) or other
            classes, or is of another network (says which settings differ).
    """
    is_ours = path.suffix != ".pkl" and _is_ours(read_torch_file(path))
    fill = _trained_here if is_ours else _released
    return _for_use(fill(path, settings, categories), device)


def load_checkpoint_network(path: Path, *, device: str) -> tuple[CondInst | MaskRcnn, Config, list[str]]:
    """The network of a checkpoint of ours in eval mode, as its own config describes it; that config, its class names.

    Raises:
        ValueError: if the file is no checkpoint of ours.
    """
    config, state = load_trained(path, "cpu")
    return _for_use(_filled(path, config.model, state), device), config, state["categories"]


def _for_use(model: CondInst | MaskRcnn, device: str) -> CondInst | MaskRcnn:
    return model.to(device, memory_format=torch.channels_last).eval()


def _is_ours(content: Any) -> bool:
    return isinstance(content, dict) and "format" in content


def _trained_here(path: Path, settings: ModelConfig, categories: Sequence[str]) -> CondInst | MaskRcnn:
    config, state = load_trained(path, "cpu")
    theirs, ours = leaves(config.model.model_dump()), leaves(settings.model_dump())
    differences = [
        f"model.{name} is {theirs[name]} instead of {ours[name]}"
        for name in theirs
        if name not in OF_TRAINING and theirs[name] != ours[name]
    ]
    if differences:
        raise ValueError(f"{path}: not the network of the recipe: {', '.join(differences)}")
    _check_number_of_classes(path, len(state["categories"]), categories)
    for found, name in zip(state["categories"], categories, strict=True):
        if found != name:
            raise ValueError(f"{path}: trained on other classes than the data has: {found!r} in place of {name!r}")
    return _filled(path, settings, state)


def _filled(path: Path, settings: ModelConfig, state: dict[str, Any]) -> CondInst | MaskRcnn:
    """The network of these settings with the weights of a checkpoint's state."""
    model = build_model(without_weights(settings), len(state["categories"]))
    try:
        model.load_state_dict(state["model"])
    except RuntimeError as error:  # written by a version of this project whose parts had other names
        raise ValueError(f"{path}: {error}") from error
    return model


def _released(path: Path, settings: ModelConfig, categories: Sequence[str]) -> CondInst:
    if settings.architecture != "condinst":
        raise ValueError(
            f"{path}: a checkpoint of AdelaiDet's, but model.architecture is {settings.architecture}, expected condinst"
        )
    for name, tensor in read_tensors(path).items():
        if our_name(name) == "head.class_logits.bias":
            _check_number_of_classes(path, len(tensor), categories)
    model = build_model(without_weights(settings), len(categories))
    load_released_weights(model, path)
    return model


def _check_number_of_classes(path: Path, found: int, categories: Sequence[str]) -> None:
    if found != len(categories):
        named = ", ".join(categories[:3]) + (", ..." if len(categories) > 3 else "")
        raise ValueError(f"{path}: a network of {found} classes, but the data has {len(categories)} ({named})")


def without_weights(settings: ModelConfig) -> ModelConfig:
    """The same network without the file that its backbone starts from: all weights come from the checkpoint."""
    return settings.model_copy(update={"backbone": settings.backbone.model_copy(update={"weights": None})})
