"""How a sweep is stopped: the first SIGTERM or Ctrl-C asks the running trials to end after their step.

They then have a checkpoint; a second signal ends the sweep at once. On one machine trials read a file in the sweep's
folder; on a cluster they ask the driver's `Inbox`.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from experiments.progress import Progress

STOP_SECONDS = 20.0  # until running trials are given up when the sweep stops; Slurm and Kubernetes kill after 30
LOOK_SECONDS = 0.02


class SweepStop:
    """How a sweep is stopped: the trials first, then Tune. `asked` gives the number of the signal, 0 without one."""

    def __init__(self, asked: Callable[[], int], flag: Path, progress: Progress) -> None:
        self.asked, self.progress = asked, progress
        self.flag = flag  # tells the trials: its text is the number of the signal
        self.running: set[str] = set()  # ids of the trials that are waited for
        self.deadline: float | None = None  # of the trials, once they were told
        self.fault = ""  # of the machine, for which the sweep ends

    def end_for(self, fault: str) -> None:
        """End the sweep at once: no trial can finish."""
        self.fault = fault
        signal.raise_signal(signal.SIGUSR1)

    def proceed(self) -> None:
        """The next step of stopping, if it was asked for and there is one."""
        number = self.asked()
        if number and self.deadline is None:
            self.progress.note("stopping after the step of the running trials; a second signal stops at once")
            self.flag.write_text(str(int(number)))
            self.deadline = time.monotonic() + STOP_SECONDS
        if self.deadline is not None and (not self.running or time.monotonic() > self.deadline):
            signal.raise_signal(signal.SIGUSR1)  # Tune takes it for the user's wish to end the run


def read_flag(flag: Path) -> int:
    """The number of the signal that stops the sweep; 0 as long as there is none."""
    try:
        return int(flag.read_text())
    except (FileNotFoundError, ValueError):  # not there, or not written yet
        return 0


@contextmanager
def sigterm_held_back() -> Iterator[None]:
    """SIGTERM to this thread waits for the end of the block, and is handled as before it: Ray's own handlers abort.

    Processes that are started in the block hold it back for good.
    """
    handler = signal.getsignal(signal.SIGTERM)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler or signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def killed_when_told_to_end() -> Iterator[None]:
    """Kill a child of this process as soon as it is sent SIGTERM in the block, but holds it back.

    Ray's processes do (`sigterm_held_back`), and where Ray ends it gives them a second each to answer, in turn.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_SECONDS):
            for child in psutil.Process().children():
                if holds_sigterm_back(child.pid):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def holds_sigterm_back(pid: int) -> bool:
    """Whether SIGTERM was sent to a process that has not taken it; False if the process is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    waiting = next(line.split()[1] for line in status.splitlines() if line.startswith("ShdPnd:"))  # a set of signals
    return bool(int(waiting, 16) >> signal.SIGTERM - 1 & 1)
