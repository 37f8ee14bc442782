"""Where to compute: a device that torch knows and this machine has, and the memory that it took."""

import ctypes
import os
import resource

import torch

# glibc's names and the bytes that this process sets
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD = -3, -1, -2
KEPT = {M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**26}  # the first: the largest it takes


def check_device(device: str) -> None:
    """Refuse a device that is not there, before anything is read.

    Raises:
        ValueError: for another name than cpu, cuda or cuda:N, or a GPU that torch does not find; names it.
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
    """Let this process keep up to 2 GB of main memory that it has freed, for what it allocates next.

    glibc hands it back to the system and takes it anew, at every training step: that costs a small network on the CPU
    an eighth of its time. Does nothing where the C library is another one, or the environment sets MALLOC_ variables.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and not any(name.startswith("MALLOC_") for name in os.environ):
        for option, size in KEPT.items():
            set_option(option, size)


def peak_memory_mb(device: str) -> float:
    """Most memory so far, MiB: of the process on a CPU, of the allocator on CUDA."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
