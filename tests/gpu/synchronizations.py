"""Host synchronizations, counted: operators after which the host waits for what a GPU has still to do.

On CUDA torch itself warns of them (`torch.cuda.set_sync_debug_mode`). On a CPU, where nothing waits, the operators that
would wait on CUDA are counted, which needs no GPU: those whose result has a size that only the device knows, numbers
that Python reads from a tensor, and copies between host and device that are not from pinned memory.
"""

import linecache
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).parents[2]
# `nonzero_numpy` and `item` consist of others, as which they are seen except in inference mode.
OF_UNKNOWN_SIZE = ("nonzero", "nonzero_numpy", "masked_select", "_unique2", "unique_dim", "unique_consecutive")
READ_BY_HOST = ("_local_scalar_dense", "item", "equal", "bincount")  # CUDA's bincount reads the range of its input
TO_HOST = ("tolist", "cpu")  # not `numpy`, which takes only what is there
NON_BLOCKING = "core/compute/transfer.py"  # copies from pinned memory


@contextmanager
def synchronizations(device: str) -> Iterator[Counter[str]]:
    """Within the block, count the synchronizations by the line of `core` from which they come, with its text."""
    found: Counter[str] = Counter()
    if torch.device(device).type != "cuda":
        with ExitStack() as stack:
            stack.enter_context(_Functions(found))
            stack.enter_context(_Operators(found))
            yield found
        return
    torch.cuda.synchronize(device)
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: found.update([_line()] if "synchroniz" in str(message) else [])
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)


class _Operators(TorchDispatchMode):
    """Counts operators, also those that other operators consist of."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in OF_UNKNOWN_SIZE + READ_BY_HOST or _has_mask(name, args) or _lacks_size(func, args, kwargs):
            self.found[f"{_line()} ({name})"] += 1
        return func(*args, **kwargs)


class _Functions(TorchFunctionMode):
    """Counts what is no operator on a CPU: copies to the host, and from there to the device."""

    def __init__(self, found: Counter[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        of_tensor = bool(args) and isinstance(args[0], Tensor)
        blocking = name == "to" and _names_device(args, kwargs) and not _line().startswith(NON_BLOCKING)
        from_host = name in ("tensor", "as_tensor") and not of_tensor and kwargs.get("device") is not None
        if (of_tensor and name in (*TO_HOST, "new_tensor")) or blocking or from_host:
            self.found[f"{_line()} ({name})"] += 1
        return func(*args, **kwargs)


def _has_mask(name: str, args: Any) -> bool:
    """Whether elements are chosen by a mask, whose true values the device has to count."""
    if name not in ("index", "index_put", "index_put_", "_index_put_impl_"):
        return False
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])


def _lacks_size(func: Any, args: Any, kwargs: Any) -> bool:
    of_tensor = func in (torch.ops.aten.repeat_interleave.Tensor, torch.ops.aten.repeat_interleave.self_Tensor)
    return of_tensor and kwargs.get("output_size") is None


def _names_device(args: Any, kwargs: Any) -> bool:
    return kwargs.get("device") is not None or any(isinstance(arg, torch.device | str) for arg in args[1:])


def _line() -> str:
    """The innermost line of the project outside this file that led here: file, number, text."""
    for frame, number in traceback.walk_stack(sys._getframe(1)):
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT) and path != Path(__file__) and ".venv" not in path.parts:
            return f"{path.relative_to(ROOT)}:{number} {linecache.getline(str(path), number).strip()}"
    return "outside of the project"
