"""Memory of a trial: a limit for its process, and the reason given when it runs out of memory."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from core.compute.failure import asked_memory
from experiments.params import GIGABYTE


@contextmanager
def memory_limit(gigabytes: float | None) -> Iterator[None]:
    """Limit the memory of this process within the block (GiB, resident); None: no limit.

    An allocation above the limit raises in the trial that makes it; without one, the kernel would kill some process of
    the machine. Counts allocated main memory, touched or not; neither GPU memory nor files mapped into memory, nor the
    images that a data set holds for several processes (`core.datasets.image_cache`).

    Raises:
        ValueError: if the system is not Linux, the only one with this accounting.
    """
    if gigabytes is None:
        yield
        return
    statm = Path("/proc/self/statm")
    if not statm.exists():
        raise ValueError("resources.memory_per_trial_gb: no /proc/self/statm here, expected Linux; set it to null")
    pages = [int(number) for number in statm.read_text().split()]
    resident, data = (pages[i] * resource.getpagesize() for i in (1, 5))
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    # libraries reserve memory at their start that they never touch: it does not count
    limit = max(int(gigabytes * GIGABYTE) - resident, 0) + data
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def out_of_memory(error: BaseException, *, device: str, batch_size: int, limit_gb: float | None) -> str:
    """One-line reason for a trial that ran out of memory, with the way out."""
    gpu = torch.device(device).type == "cuda"
    where = "out of memory on the GPU" if gpu else "out of memory"
    limit = f" at the limit of {limit_gb:g} GB (resources.memory_per_trial_gb)" if limit_gb and not gpu else ""
    size = f", asking for {asked}" if (asked := asked_memory(error)) else ""
    if gpu:
        more = "set resources.gpus_per_trial to 1 if trials share a GPU"
    else:
        more = "raise the limit" if limit else "reduce resources.parallel_trials"
    return f"{where}{limit}{size}; lower training.batch_size ({batch_size}) or the image size, or {more}"


def count_kernel_kills() -> int:
    """How many processes the kernel of this machine has killed for lack of memory since boot."""
    vmstat = Path("/proc/vmstat")
    counts = dict(line.split() for line in vmstat.read_text().splitlines()) if vmstat.exists() else {}
    return int(counts.get("oom_kill", 0))
