"""Files of tensors from elsewhere, read without running anything that stands in them.

A pickle may name any function and have it called. Torch files are read with torch's own list of harmless names,
pickles of numpy arrays (detectron2's and Caffe2's `.pkl`) with the few that such arrays need.
"""

import pickle
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor


def _encode_latin1(text: str, encoding: str) -> bytes:
    """How pickles of protocol 2 spell bytes; any other codec is refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding is {encoding!r}, expected 'latin1'")
    return text.encode("latin1")


RECONSTRUCT = np.zeros(0).__reduce__()[0]  # a function of numpy without a public name
ALLOWED = {
    "numpy.core.multiarray._reconstruct": RECONSTRUCT,  # numpy 1
    "numpy._core.multiarray._reconstruct": RECONSTRUCT,  # numpy 2
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "_codecs.encode": _encode_latin1,
    "collections.OrderedDict": OrderedDict,
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads numbers, text, containers and numpy arrays; stops at the name of anything else, before it is called."""

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, expected numpy arrays alone")
        return ALLOWED[f"{module}.{name}"]


def read_torch_file(path: str | Path, device: str = "cpu") -> Any:
    """Content of a file that `torch.save` wrote: tensors, numbers, text and containers of them, nothing that runs.

    Raises:
        ValueError: if the file cannot be read or holds anything else; names it.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # bytes of another kind end the unpickler in any of its errors
        asked = re.search(r"GLOBAL (\S+)", str(error))  # amid torch's advice to load the file all the same
        reason = f"it asks for {asked[1]}" if asked else f"{type(error).__name__} ({error!s:.60})"
        raise ValueError(f"{path} is no torch file that holds tensors and nothing that runs: {reason}") from error


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name: a state dict, alone or under `model` (or `blobs`, Caffe2); `.pkl` is a pickle of numpy arrays.

    Blobs of momentum, which Caffe2 saves beside the weights, are left out.

    Raises:
        ValueError: if the file cannot be read, or holds anything else; names what it is.
    """
    content = _read_pickle(path) if Path(path).suffix == ".pkl" else read_torch_file(path)
    if isinstance(content, dict):
        content = content.get("model", content.get("blobs", content))
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: expected a state dict, tensors by name, or one under 'model'")
    return {
        name: _as_tensor(value, name, path) for name, value in content.items() if not str(name).endswith("_momentum")
    }


def _read_pickle(path: str | Path) -> Any:
    try:
        with Path(path).open("rb") as file:
            return ArrayUnpickler(file, encoding="latin1").load()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # bytes of another kind end the unpickler in any of its errors
        raise ValueError(f"{path} is no pickle of numpy arrays and nothing that runs: {error}") from error


def _as_tensor(value: Any, name: Any, path: str | Path) -> Tensor:
    if isinstance(name, str) and isinstance(value, Tensor):
        return value
    if isinstance(name, str) and isinstance(value, np.ndarray) and value.dtype.kind in "iuf":
        return torch.from_numpy(np.array(value))
    found = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
    raise ValueError(f"{path}: expected a state dict, tensors by name, found {found} under {name!r}")
