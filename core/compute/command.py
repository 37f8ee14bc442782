"""How the commands that `torchrun` may start end: with status 0, or with one message and status 2."""

import os
import sys
from collections.abc import Callable

from core.compute.device import keep_freed_memory
from core.compute.workers import Workers, torchrun_workers


def run_command(work: Callable[[Workers, str], None], device: str) -> int:
    """Do the work with this process's workers and device; the status for the shell.

    What was given wrongly (ValueError), cannot be read or written (OSError) or diverges (FloatingPointError) is told
    on stderr, and is status 2. What several workers meet, one of them tells.
    """
    keep_freed_memory()
    try:
        with torchrun_workers(device) as (workers, own_device):
            try:
                work(workers, own_device)
            except (ValueError, OSError, FloatingPointError) as error:
                if workers.first_to(f"tell: {error}"):
                    _print(error)
                return 2
    except ValueError as error:  # of the device: all workers of this machine meet it
        if int(os.environ.get("LOCAL_RANK", "0")) == 0:
            _print(error)
        return 2
    return 0


def _print(error: Exception) -> None:
    print(f"error: {error}", file=sys.stderr)
