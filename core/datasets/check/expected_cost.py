"""What a training will cost on this machine: asked of `core.training.cost`, in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # by the system, for memory
OUT_OF_MEMORY = "memory"  # in the message of a process that got none
BUSY = 1.5  # processes that want to run, for each CPU: more than the measurement alone makes


@dataclass(frozen=True)
class ExpectedCost:
    """An estimate for a whole training, with its evaluations."""

    minutes: float
    memory_mb: float  # of the process and those that load images for it; on CUDA, of the GPU
    device: str
    threads: int
    steps: int
    busy: bool = False  # whether others had the CPUs while it was measured

    def __str__(self) -> str:
        return self._alone() + (", measured while the CPUs were busy: less where they are not" if self.busy else "")

    def _alone(self) -> str:
        time, memory = f"about {in_words(self.minutes)}", f"{self.memory_mb / 1024:.1f} GB"
        if self.device != "cpu":
            return f"{time} on {self.device}, {memory} of its memory"
        return f"{time} on this CPU with {self.threads} thread{'s' * (self.threads > 1)}, {memory} of memory"


def in_words(minutes: float) -> str:
    """A time of one or two digits: an estimate is not more exact."""
    if minutes < 1.5:
        return "a minute"
    if minutes < 100:
        return f"{round(minutes) if minutes < 10 else round(minutes / 5) * 5} minutes"
    return f"{minutes / 60:.1f} hours" if minutes < 600 else f"{round(minutes / 60)} hours"


def expected_cost(options: list[str], threads: int | None) -> ExpectedCost | None:
    """The cost of the training with these options of `core.train`; None if it does not fit into memory.

    Takes some 20 seconds.

    Raises:
        ValueError: if the measurement fails for another reason; says what it said.
    """
    more = [] if threads is None else ["--threads", str(threads)]
    command = [sys.executable, "-m", "core.training.cost", *options, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return replace(ExpectedCost(**json.loads(done.stdout.splitlines()[-1])), busy=cpus_are_busy())
    said = (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]
    if done.returncode in KILLED or OUT_OF_MEMORY in said:
        return None
    raise ValueError(said.removeprefix("error: "))


def cpus_are_busy() -> bool:
    """Whether more processes wanted to run in the last minute than there are CPUs for."""
    return os.getloadavg()[0] > BUSY * (os.cpu_count() or 1)


def available_memory_mb() -> float:
    """MiB of main memory that processes can get now; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("MemAvailable:")), float("inf"))
