"""What a training or an evaluation computes with: one value in place of four arguments."""

from dataclasses import dataclass

from core.compute.workers import ALONE, Workers


@dataclass(frozen=True)
class Compute:
    """The means of this process; one that works alone on the CPU, and says nothing, by default."""

    device: str = "cpu"  # cpu, cuda or cuda:N
    workers: Workers = ALONE  # the processes that share the images
    loader_processes: int = 0  # that read images for this one; 0: it reads them itself
    progress: bool = False  # whether bars are shown
