"""The compute resources of a training or an evaluation: one value in place of four arguments."""

from dataclasses import dataclass

from core.compute.workers import ALONE, Workers


@dataclass(frozen=True)
class Compute:
    """Resources of this process; by default a single process on the CPU, without progress bars."""

    device: str = "cpu"  # cpu, cuda or cuda:N
    workers: Workers = ALONE  # the processes that share the images
    loader_processes: int = 0  # processes that load images for this one; 0: it loads them itself
    progress: bool = False  # whether progress bars are shown
