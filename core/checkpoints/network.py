"""Load a trained network from a checkpoint of ours or of AdelaiDet's, distinguished by their content."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from core.checkpoints.checkpoint import load_trained
from core.checkpoints.released import load_released_weights, number_of_classes
from core.checkpoints.state import class_names, classes, load_tensors, network_tensors
from core.config import Config, ModelConfig
from core.config.dotted import leaves
from core.files.tensors import read_tensors, read_torch_file
from core.model.build import build_model
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn

# Settings that affect how the weights were trained, not what the network computes from them.
OF_TRAINING = {"backbone.weights", "backbone.frozen_stages", "class_prior"}


def load_network(path: Path, settings: ModelConfig, categories: Sequence[str], *, device: str) -> CondInst | MaskRcnn:
    """Build the network of these settings, load the file into it and return it in eval mode.

    `categories` are the class names of the data, in the order of the category ids. An AdelaiDet checkpoint has no
    class names: its classes are assumed to be these.

    Raises:
        ValueError: if the file is neither kind of checkpoint, has another number of classes (names both numbers) or
            other classes, or belongs to another network (names the settings that differ).
    """
    fill = _trained_here if is_ours(path) else _released
    return _for_use(fill(path, settings, categories), device)


def load_checkpoint_network(
    path: Path, *, device: str
) -> tuple[CondInst | MaskRcnn, Config, list[dict[str, int | str]]]:
    """Load a checkpoint of ours: its network in eval mode, built from its own config, that config, and its classes.

    The classes are entries of a COCO file, by label: `id` and `name`. The ids are those of the training data.

    Raises:
        ValueError: if the file is not a checkpoint of ours, is damaged, or its state does not fit its config.
    """
    config, state = load_trained(path, "cpu")
    return _for_use(_filled(path, config.model, state), device), config, classes(state, path)


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint of ours, whole or not, rather than AdelaiDet's.

    Raises:
        ValueError: if it is neither, because it cannot be read.
    """
    if path.suffix == ".pkl":
        return False
    content = read_torch_file(path)
    return isinstance(content, dict) and "format" in content


def model_differences(found: ModelConfig, expected: ModelConfig) -> list[str]:
    """The settings in which two networks differ, without those that only say how their weights were trained."""
    theirs, ours = leaves(found.model_dump()), leaves(expected.model_dump())
    return [
        f"model.{name} is {theirs[name]} instead of {ours[name]}"
        for name in theirs
        if name not in OF_TRAINING and theirs[name] != ours[name]
    ]


def released_network(path: Path, settings: ModelConfig, num_classes: int) -> CondInst:
    """Build the network of these settings and load an AdelaiDet checkpoint into it.

    Raises:
        ValueError: if the settings are those of another architecture, or the file does not fit the network.
    """
    if settings.architecture != "condinst":
        raise ValueError(
            f"{path}: an AdelaiDet checkpoint, but model.architecture is {settings.architecture}, expected condinst"
        )
    model = build_model(without_weights(settings), num_classes)
    load_released_weights(model, path)
    return model


def _for_use(model: CondInst | MaskRcnn, device: str) -> CondInst | MaskRcnn:
    return model.to(device, memory_format=torch.channels_last).eval()


def _trained_here(path: Path, settings: ModelConfig, categories: Sequence[str]) -> CondInst | MaskRcnn:
    config, state = load_trained(path, "cpu")
    if differences := model_differences(config.model, settings):
        raise ValueError(f"{path}: network differs from the recipe's: {', '.join(differences)}")
    trained_on = class_names(state, path)
    _check_number_of_classes(path, len(trained_on), categories)
    for found, name in zip(trained_on, categories, strict=True):
        if found != name:
            raise ValueError(f"{path}: trained on other classes than the data has: found {found!r}, expected {name!r}")
    return _filled(path, settings, state)


def _filled(path: Path, settings: ModelConfig, state: dict[str, Any]) -> CondInst | MaskRcnn:
    """Build the network of these settings and load the weights of a checkpoint's state."""
    tensors, num_classes = network_tensors(state, path), len(class_names(state, path))
    try:
        model = build_model(without_weights(settings), num_classes)
    except (ValueError, RuntimeError, TypeError) as error:  # of a timm backbone that this version does not have
        raise ValueError(f"{path}: its network cannot be built: {error}") from error
    load_tensors(model, tensors, path)
    return model


def _released(path: Path, settings: ModelConfig, categories: Sequence[str]) -> CondInst:
    if settings.architecture == "condinst" and (found := number_of_classes(read_tensors(path))) is not None:
        _check_number_of_classes(path, found, categories)
    return released_network(path, settings, len(categories))


def _check_number_of_classes(path: Path, found: int, categories: Sequence[str]) -> None:
    if found != len(categories):
        named = ", ".join(categories[:3]) + (", ..." if len(categories) > 3 else "")
        raise ValueError(f"{path}: network has {found} classes, but the data has {len(categories)} ({named})")


def without_weights(settings: ModelConfig) -> ModelConfig:
    """The same settings without the initial weights of the backbone: the checkpoint has all weights."""
    return settings.model_copy(update={"backbone": settings.backbone.model_copy(update={"weights": None})})
