"""Start a training from the network of another one: its weights, but a new optimizer and a new schedule.

Classes are matched by name. The rows of the class layers for classes that both trainings have are copied; those of new
classes keep their initial values.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor, nn

from core.checkpoints.checkpoint import load_trained
from core.checkpoints.network import is_ours, model_differences, released_network
from core.checkpoints.released import number_of_classes
from core.checkpoints.state import class_names, network_tensors
from core.config import ModelConfig
from core.files.tensors import read_tensors

# Layers with rows for each class: how many for one class, and how many before them, for the background.
CLASS_LAYERS = {
    "head.class_logits": (1, 0),
    "semantic_head.logits": (1, 0),
    "roi_heads.box_predictor.cls_score": (1, 1),
    "roi_heads.box_predictor.bbox_pred": (4, 4),
    "roi_heads.mask_predictor.mask_fcn_logits": (1, 1),
}


@dataclass(frozen=True)
class Start:
    """The network that a training starts from."""

    path: Path  # names the file in messages
    sha256: str  # of the file, 16 hexadecimal digits: part of what identifies the training
    settings: ModelConfig
    tensors: dict[str, Tensor] = field(repr=False)  # on the CPU, by our names
    classes: list[str] | None  # by label; None: an AdelaiDet file, which does not name them
    num_classes: int

    def common_classes(self, categories: Sequence[str]) -> list[tuple[int, int]]:
        """The labels of the classes that both have: (in `categories`, in the file).

        Classes without names are those of the data if there are as many, as in an evaluation; else they have none in
        common.
        """
        theirs = self.classes
        if theirs is None:
            theirs = list(categories) if len(categories) == self.num_classes else []
        return [(label, theirs.index(name)) for label, name in enumerate(categories) if name in theirs]


def read_start(path: Path, settings: ModelConfig) -> Start:
    """Read a checkpoint of ours or of AdelaiDet's; the latter does not state its settings: they must be `settings`.

    Raises:
        ValueError: if the file is neither, is damaged, or an AdelaiDet file does not fit the settings.
    """
    if is_ours(path):
        config, state = load_trained(path, "cpu")
        classes = class_names(state, path)
        return Start(path, _sha256(path), config.model, network_tensors(state, path), classes, len(classes))
    tensors = read_tensors(path)
    if not (count := number_of_classes(tensors)):
        raise ValueError(f"{path}: no checkpoint of this program, and none of AdelaiDet's: no class logits")
    network = released_network(path, settings, count)
    return Start(path, _sha256(path), settings, network.state_dict(), None, count)


def load_start(model: nn.Module, start: Start, settings: ModelConfig, categories: Sequence[str]) -> None:
    """Load the weights that a training starts from into its network, built with `settings` for these classes.

    The network is changed only if everything fits.

    Raises:
        ValueError: if a tensor is missing, unexpected or of another shape (names the first one, what was found and
            what was expected), or if the networks compute otherwise from equal tensors (names the settings).
    """
    expected = model.state_dict()
    differences = ", ".join(model_differences(start.settings, settings))
    for name, tensor in expected.items():
        rows = _rows(name, start.num_classes)
        shape = tuple(tensor.shape) if rows is None else (rows, *tensor.shape[1:])
        found = start.tensors.get(name)
        if found is None or (tuple(found.shape), found.dtype) != (shape, tensor.dtype):
            is_there = "missing" if found is None else _shown(tuple(found.shape), found)
            raise ValueError(
                f"{start.path}: the network in it is another one than this training's: '{name}' is {is_there}, "
                f"expected {_shown(shape, tensor)}" + (f" ({differences})" if differences else "")
            )
    if unexpected := [name for name in start.tensors if name not in expected]:
        raise ValueError(
            f"{start.path}: the network in it is another one than this training's: it has '{unexpected[0]}', which "
            "this one lacks" + (f" ({differences})" if differences else "")
        )
    if differences:
        raise ValueError(f"{start.path}: the network in it computes otherwise than this training's: {differences}")
    common = start.common_classes(categories)
    model.load_state_dict(
        {name: _with_common_rows(name, tensor, start.tensors[name], common) for name, tensor in expected.items()}
    )


def _rows(name: str, num_classes: int) -> int | None:
    """The rows of a tensor of a class layer; None for any other tensor."""
    layer = CLASS_LAYERS.get(name.rpartition(".")[0])
    return None if layer is None else layer[1] + layer[0] * num_classes


def _with_common_rows(name: str, initial: Tensor, found: Tensor, common: Sequence[tuple[int, int]]) -> Tensor:
    """`found`; of a class layer its rows for the background and for the common classes, in the initial tensor."""
    layer = CLASS_LAYERS.get(name.rpartition(".")[0])
    if layer is None:
        return found
    count, first = layer
    rows = initial.clone()
    rows[:first] = found[:first]
    for ours, theirs in common:
        rows[first + count * ours : first + count * (ours + 1)] = found[first + count * theirs :][:count]
    return rows


def _shown(shape: tuple[int, ...], tensor: Tensor) -> str:
    return f"{shape} of {str(tensor.dtype).removeprefix('torch.')}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
