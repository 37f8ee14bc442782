"""Memory of a trial: a limit for its process, and what is said of a trial that ran out of memory."""

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

GIGABYTE = 2**30
# CPU allocator, C++ and oneDNN; CUDA has an exception of its own.
PHRASES = ("can't allocate memory", "bad_alloc", "could not create a memory", "ALLOC_FAILED")


@contextmanager
def memory_limit(gigabytes: float | None) -> Iterator[None]:
    """Let this process hold at most so much memory inside (GiB, as resident); None: no limit.

    An allocation beyond it raises in the trial that asks for it, where the kernel would kill some process of the
    machine. Counts main memory that is allocated, touched or not; not the GPU's, and not files mapped into memory.

    Raises:
        ValueError: where the system is not Linux, whose accounting this is.
    """
    if gigabytes is None:
        yield
        return
    statm = Path("/proc/self/statm")
    if not statm.exists():
        raise ValueError("resources.memory_per_trial_gb: this system has no /proc/self/statm, expected Linux")
    pages = [int(number) for number in statm.read_text().split()]
    resident, data = (pages[i] * resource.getpagesize() for i in (1, 5))
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    # what libraries reserve at their start and never touch is no use of memory
    limit = max(int(gigabytes * GIGABYTE) - resident, 0) + data
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(phrase in str(error) for phrase in PHRASES)


def out_of_memory(error: BaseException, *, device: str, batch_size: int, limit_gb: float | None) -> str:
    """The reason of a trial that ran out of memory, in one line, with what helps."""
    gpu = torch.device(device).type == "cuda"
    asked = re.search(r"allocate (\d[\d.]*)\s?([KMGT]?i?B|bytes)", str(error))
    where = "out of memory on the GPU" if gpu else "out of memory"
    limit = f" at the limit of {limit_gb:g} GB (resources.memory_per_trial_gb)" if limit_gb and not gpu else ""
    size = f", asking for {asked[1]} {asked[2]}" if asked else ""
    if gpu:
        more = "resources.gpus_per_trial: 1 if trials share a GPU"
    else:
        more = "more of it" if limit else "fewer resources.parallel_trials"
    return f"{where}{limit}{size}; lower training.batch_size ({batch_size}) or the image size, or take {more}"


def count_kernel_kills() -> int:
    """How many processes the kernel of this machine has killed since its start because memory ran out."""
    vmstat = Path("/proc/vmstat")
    counts = dict(line.split() for line in vmstat.read_text().splitlines()) if vmstat.exists() else {}
    return int(counts.get("oom_kill", 0))
