"""Write files of tensors, and read them from untrusted sources without running code from them.

A pickle may name any function and have it called. Torch files are read with torch's own list of safe names. In pickles
of numpy arrays (detectron2's and Caffe2's `.pkl`), the few names that arrays need are replaced by `PickledNumbers` and
`PickledArray`, which only store the description of an array. Numpy's own classes would trust it, and could interpret
bytes as pointers.
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

from core.files.sealed import DamagedError, check_seal, sealed

MOST_REPEATED = 2**28  # bytes of a tensor that repeats fewer numbers, which need no place in a file


def _encode_latin1(text: str, encoding: str) -> bytes:
    """Pickles of protocol 2 encode bytes this way; other codecs are rejected."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"encoding is {encoding!r}, expected 'latin1'")
    return text.encode("latin1")


class PickledNumbers:
    """Replaces `numpy.dtype`: only integers, floats and booleans of up to 8 bytes."""

    def __new__(cls, name: str, *_: Any) -> "PickledNumbers":
        if not re.fullmatch(r"[<>|=]?[biuf][1248]", name):
            raise pickle.UnpicklingError(f"an array has dtype {name!r:.20}, expected numbers of up to 8 bytes")
        numbers = super().__new__(cls)
        numbers.dtype = np.dtype(name)
        return numbers

    def __setstate__(self, state: tuple) -> None:
        """Read the byte order, second in numpy's state; the rest of it describes fields and objects."""
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"a byte order is {state[1]!r:.20}, expected one of < > | =")
        self.dtype = self.dtype.newbyteorder(state[1])


class PickledArray:
    """Replaces `numpy.ndarray`: the pickle's description of an array, not yet verified."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def to_numpy(self) -> np.ndarray:
        """The array as a copy in native byte order.

        Raises:
            ValueError: if shape, dtype or bytes are missing, or do not fit together.
        """
        match self.state:
            case (_, tuple() as shape, PickledNumbers(dtype=dtype), is_fortran, bytes() | str() as content):
                pass
            case _:
                raise ValueError("no shape, dtype and bytes")
        if not all(isinstance(side, int) and 0 <= side < 2**31 for side in shape):
            raise ValueError(f"the shape {shape!s:.60}, expected integers of at least 0")
        content = content.encode("latin1") if isinstance(content, str) else content  # Python 2
        expected = math.prod(shape) * dtype.itemsize
        if len(content) != expected:
            raise ValueError(f"{len(content)} bytes for the shape {shape} of {dtype}, expected {expected}")
        array = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
        return array.astype(dtype.newbyteorder("="))


def _reconstruct(*_: Any) -> PickledArray:
    """An array before its state is set; numpy's own function would allocate memory for any shape in the file."""
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
    """Reads numbers, text, containers and numpy arrays; rejects any other name before it is called."""

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in ALLOWED:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, expected only numpy arrays")
        return ALLOWED[f"{module}.{name}"]


def write_torch_file(path: Path, content: Any) -> None:
    """Write tensors, numbers, text and containers of them with `torch.save`, atomically and sealed (`sealed`).

    Raises:
        OSError: if the file cannot be written; names it.
    """
    with sealed(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's writer hides what writing raised
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def read_torch_file(path: str | Path, device: str = "cpu") -> Any:
    """Read a file written by `torch.save`: tensors, numbers, text and containers of them, but no code.

    Raises:
        ValueError: if the file cannot be read, contains anything else, or has changed since it was sealed.
    """
    try:
        with Path(path).open("rb") as file:
            check_seal(file, path)
            return torch.load(file, map_location=device, weights_only=True)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except (DamagedError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # on other content, the unpickler can fail with any exception
        asked = re.search(r"GLOBAL (\S+)", str(error))  # without torch's advice to load the file anyway
        reason = f"it refers to {asked[1]}" if asked else f"{type(error).__name__} ({error!s:.60})"
        raise ValueError(f"{path}: not a torch file that holds only tensors: {reason}") from error


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict, alone or under `model` (or `blobs`, Caffe2); `.pkl` is a pickle of numpy arrays.

    Momentum, which Caffe2 saves beside the weights, is left out.

    Raises:
        ValueError: if the file cannot be read, or contains anything else; names what was found.
    """
    content = _read_pickle(path) if Path(path).suffix == ".pkl" else read_torch_file(path)
    if isinstance(content, dict):
        content = content.get("model", content.get("blobs", content))
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: expected a state dict, tensors by name, or one under 'model'")
    return {
        name: _as_tensor(value, name, path) for name, value in content.items() if not str(name).endswith("_momentum")
    }


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor has all its numbers in memory: it is not sparse, quantized, nested or without content (meta).

    Nor is it a few numbers of the file, repeated to more than MOST_REPEATED bytes.
    """
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized or tensor.is_nested:
        return False
    return tensor.numel() * tensor.element_size() <= max(tensor.untyped_storage().nbytes(), MOST_REPEATED)


def _read_pickle(path: str | Path) -> Any:
    try:
        with Path(path).open("rb") as file:
            return ArrayUnpickler(file, encoding="latin1").load()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # on other content, the unpickler can fail with any exception
        raise ValueError(f"{path}: not a pickle that holds only numpy arrays: {error}") from error


def _as_tensor(value: Any, name: Any, path: str | Path) -> Tensor:
    if isinstance(name, str) and isinstance(value, Tensor) and is_dense(value):
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
