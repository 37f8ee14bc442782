"""Files of tensors from elsewhere, read without running anything that stands in them.

A pickle may name any function and have it called. Torch files are read with torch's own list of harmless names. In
pickles of numpy arrays (detectron2's and Caffe2's `.pkl`) the few names that arrays need stand for `PickledNumbers` and
`PickledArray`, which only keep what is said of an array. Numpy's own would believe it, and take bytes for pointers.
"""

import math
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


class PickledNumbers:
    """In the place of `numpy.dtype`: integers, floats and truth values of up to 8 bytes, and nothing else."""

    def __new__(cls, name: str, *_: Any) -> "PickledNumbers":
        if not re.fullmatch(r"[<>|=]?[biuf][1248]", name):
            raise pickle.UnpicklingError(f"an array is of {name!r:.20}, expected numbers of up to 8 bytes")
        numbers = super().__new__(cls)
        numbers.dtype = np.dtype(name)
        return numbers

    def __setstate__(self, state: tuple) -> None:
        """Take the byte order, the second of numpy's state; what else stands there describes fields and objects."""
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"a byte order is {state[1]!r:.20}, expected one of < > | =")
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """In the place of `numpy.ndarray`: what the pickle says of an array, not yet believed."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def to_numpy(self) -> np.ndarray:
        """The array, in this machine's byte order and in memory of its own.

        Raises:
            ValueError: if there are no shape, numbers and bytes, or they do not fit together; says how.
        """
        match self.state:
            case (_, tuple() as shape, PickledNumbers(dtype=dtype), is_fortran, bytes() | str() as content):
                pass
            case _:
                raise ValueError("no shape, numbers and bytes")
        if not all(isinstance(side, int) and 0 <= side < 2**31 for side in shape):
            raise ValueError(f"the shape {shape!s:.60}, expected numbers from 0")
        content = content.encode("latin1") if isinstance(content, str) else content  # Python 2
        expected = math.prod(shape) * dtype.itemsize
        if len(content) != expected:
            raise ValueError(f"{len(content)} bytes for the shape {shape} of {dtype}, expected {expected}")
        array = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
        return array.astype(dtype.newbyteorder("="))


def _reconstruct(*_: Any) -> PickledArray:
    """An array before its state; numpy's own would take memory for whatever shape it is given."""
    return PickledArray()


ALLOWED = {
    "numpy.core.multiarray._reconstruct": _reconstruct,  # numpy 1
    "numpy._core.multiarray._reconstruct": _reconstruct,  # numpy 2
    "numpy.ndarray": PickledArray,
    "numpy.dtype": PickledNumbers,
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
    found = type(value).__name__
    if isinstance(value, PickledArray):
        try:
            array = value.to_numpy()
        except ValueError as error:
            raise ValueError(f"{path}: the array under {name!r} has {error}") from error
        if isinstance(name, str) and array.dtype.kind in "iuf":
            return torch.from_numpy(array)
        found = f"an array of {array.dtype}"
    raise ValueError(f"{path}: expected a state dict, tensors by name, found {found} under {name!r}")
