"""Where to compute: a device that torch knows and this machine has, and the memory that it took."""

import resource

import torch


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


def peak_memory_mb(device: str) -> float:
    """Most memory so far, MiB: of the process on a CPU, of the allocator on CUDA."""
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
