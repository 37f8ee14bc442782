"""Load a trained network from a checkpoint of ours or of AdelaiDet's, distinguished by their content."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from core.checkpoints.checkpoint import load_trained
from core.checkpoints.released import load_released_weights, our_name
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
    is_ours = path.suffix != ".pkl" and _is_ours(read_torch_file(path))
    fill = _trained_here if is_ours else _released
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
    if settings.architecture != "condinst":
        raise ValueError(
            f"{path}: an AdelaiDet checkpoint, but model.architecture is {settings.architecture}, expected condinst"
        )
    for name, tensor in read_tensors(path).items():
        if our_name(name) == "head.class_logits.bias":
            _check_number_of_classes(path, tensor.shape[0] if tensor.dim() else 0, categories)
    model = build_model(without_weights(settings), len(categories))
    load_released_weights(model, path)
    return model


def _check_number_of_classes(path: Path, found: int, categories: Sequence[str]) -> None:
    if found != len(categories):
        named = ", ".join(categories[:3]) + (", ..." if len(categories) > 3 else "")
        raise ValueError(f"{path}: network has {found} classes, but the data has {len(categories)} ({named})")


def without_weights(settings: ModelConfig) -> ModelConfig:
    """The same settings without the initial weights of the backbone: the checkpoint has all weights."""
    return settings.model_copy(update={"backbone": settings.backbone.model_copy(update={"weights": None})})
