"""The device to compute on: whether torch finds it on this machine, and the memory used."""

import ctypes
import gc
import os
import re
import resource
from contextlib import suppress
from pathlib import Path

import torch

# glibc's option names, and the sizes in bytes that this process sets
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD = -3, -1, -2
KEPT = {M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**26}  # the first is glibc's maximum


def check_device(device: str) -> None:
    """Reject a device that does not exist, before anything is read.

    Raises:
        ValueError: if the name is not cpu, cuda or cuda:N, or torch does not find the GPU.
    """
    try:
        wanted = torch.device(device)
    except RuntimeError:
        wanted = None
    if wanted is None or wanted.type not in ("cpu", "cuda"):
        raise ValueError(f"device is '{device}', expected cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if wanted.type == "cuda" and (wanted.index or 0) >= count:
        raise ValueError(f"device is {device}, but torch finds {f'{count} GPU(s)' if count else 'no GPU'}")


def keep_freed_memory() -> None:
    """Let this process keep up to 2 GB of freed main memory for later allocations.

    By default glibc returns it to the system and requests it again at every training step, which costs a small network
    on the CPU an eighth of its time. Does nothing with another C library, or if the environment sets MALLOC_ variables.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and not any(name.startswith("MALLOC_") for name in os.environ):
        for option, size in KEPT.items():
            set_option(option, size)


def forget_memory_peak(device: str) -> None:
    """Start `peak_memory_mb` anew, for the next training of this process; what earlier ones freed is given back first.

    Where the system does not allow it, the peak on the CPU stays that of the process since its start.
    """
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
    if torch.device(device).type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM


def peak_memory_mb(device: str) -> float:
    """Peak memory in MiB since `forget_memory_peak`: of the process on a CPU, of torch's allocator on CUDA."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists() and (peak := re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)):
        return int(peak[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
