"""The compute resources of a training or an evaluation: one value in place of five arguments."""

from collections.abc import Callable
from dataclasses import dataclass
from signal import Signals

from core.compute.interrupt import Stopped, never_stop
from core.compute.workers import ALONE, Workers


@dataclass(frozen=True)
class Compute:
    """Resources of this process; by default a single process on the CPU, without progress bars."""

    device: str = "cpu"  # cpu, cuda or cuda:N
    workers: Workers = ALONE  # the processes that share the images
    loader_processes: int = 0  # processes that load images for this one; 0: it loads them itself
    progress: bool = False  # whether progress bars are shown
    # asked at every step: the signal that wants this process to stop, 0: none (`core.compute.interrupt`)
    stop: Callable[[], int] = never_stop

    def check_stop(self, done: str) -> None:
        """Raise `Stopped` if this process or another worker was asked to stop; `done` says how far the work is.

        With several workers, all must call it at the same point of their work: they agree on the answer.
        """
        if number := self.workers.highest(self.stop()):
            raise Stopped(f"stopped by {Signals(number).name} after {done}", number)
