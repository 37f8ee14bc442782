"""Progress of a sweep, on one line that is updated in place; without a terminal, one line per report."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from core.record import Record
from core.training.pace import duration
from experiments.jobs import Job
from experiments.search.stopped_early import is_stopped_early


def seconds_left(epochs_left: dict[str, float], seconds_per_epoch: dict[str, float], parallel: int) -> float | None:
    """Time until the last trial ends: all work divided by the parallel trials, at least the time of the longest.

    Both dicts are by trial. A trial that has not reported yet is assumed to take the mean time of the others. None
    before the first report. Does not count the seconds in which the process of a trial starts.
    """
    if not seconds_per_epoch:
        return None
    mean = sum(seconds_per_epoch.values()) / len(seconds_per_epoch)
    left = [count * seconds_per_epoch.get(name, mean) for name, count in epochs_left.items()]
    return max(sum(left) / parallel, max(left, default=0.0))


def as_duration(seconds: float | None) -> str:
    return "time left unknown" if seconds is None else f"{duration(seconds)} left"


class Progress:
    """Shows the running trials with their epoch and mask AP, and the time left. An observer of a sweep."""

    def __init__(self, jobs: Sequence[Job], parallel: int, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self.parallel = parallel
        studies = {job.trial.study for job in jobs}
        self.names = {
            job.key: job.trial.name if len(studies) == 1 else f"{job.trial.study}/{job.trial.name}" for job in jobs
        }
        self.epochs_left: dict[str, float] = {job.key: job.trial.config.training.epochs or 1 for job in jobs}
        self.seconds_per_epoch: dict[str, float] = {}
        self.running: dict[str, str] = {}
        self.num_ended = 0
        self.written = time.monotonic()
        self.left: float | None = None  # seconds, as of `written_left`
        self.written_left = self.written

    def started(self, job: Job) -> None:
        self.running[job.key] = f"{self.names[job.key]} starting"
        self._show(self.running[job.key])

    def epoch(self, job: Job, numbers: dict[str, float]) -> None:
        epoch, epochs = int(numbers["epoch"]), int(numbers["epochs"])
        self.epochs_left[job.key] = epochs - epoch
        self.seconds_per_epoch[job.key] = numbers["seconds"] / epoch
        previous = self.running[job.key].partition(" AP ")[2]
        score = _number(numbers["mask_AP"]) if "mask_AP" in numbers else previous
        self.running[job.key] = f"{self.names[job.key]} {epoch}/{epochs}" + (f" mask AP {score}" if score else "")
        self._estimate()
        self._show(self.running[job.key])

    def ended(self, job: Job, record: Record) -> None:
        self.running.pop(job.key, None)
        self.epochs_left.pop(job.key, None)
        self.num_ended += 1
        self._estimate()
        if is_stopped_early(record):
            outcome = record.reason
        elif record.status != "ok":
            outcome = f"FAILED, {record.reason}"
        else:
            outcome = f"mask AP {_number(record.metrics.get('mask_AP'))}"
        if self.live:
            self.stream.write("\r\033[K")
        self.stream.write(f"{self.names[job.key]}: {outcome} ({self.num_ended} of {len(self.names)} done)\n")
        self.refresh()

    def refresh(self) -> None:
        """Rewrite the line with the time left counted down; only on a terminal."""
        if not self.live:
            self.stream.flush()
            return
        self.written = time.monotonic()
        line = f"{self.num_ended}/{len(self.names)} done · " + " · ".join(
            [*(self.running.values() or ["starting workers"]), self._time_left()]
        )
        width = shutil.get_terminal_size().columns - 1
        self.stream.write(f"\r\033[K{line[:width]}")
        self.stream.flush()

    def note(self, text: str) -> None:
        """Write a line of its own."""
        if self.live:
            self.stream.write("\r\033[K")
        self.stream.write(f"{text}\n")
        self.refresh()

    def tick(self) -> None:
        """Refresh at most once a second."""
        if self.live and time.monotonic() - self.written >= 1:
            self.refresh()

    def close(self) -> None:
        if self.live:
            self.stream.write("\r\033[K")
        self.stream.flush()

    def _estimate(self) -> None:
        self.left = seconds_left(self.epochs_left, self.seconds_per_epoch, self.parallel)
        self.written_left = time.monotonic()

    def _time_left(self) -> str:
        left = None if self.left is None else max(self.left - (time.monotonic() - self.written_left), 0.0)
        return as_duration(left)

    def _show(self, report: str) -> None:
        if not self.live:
            self.stream.write(f"{report} · {self.num_ended} of {len(self.names)} done · {self._time_left()}\n")
        self.refresh()


def _number(value: float | None) -> str:
    return "none" if value is None or value != value else f"{value:.1f}"
