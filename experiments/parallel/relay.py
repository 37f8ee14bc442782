"""What Tune tells the sweep: passed on to its observers, and written as records of the trials whose process died."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune

from experiments.jobs import Job
from experiments.memory import count_kernel_kills
from experiments.parallel.stop import SweepStop
from experiments.progress import Progress
from experiments.store import Store
from experiments.sweep import Observer, crashed

LOW_ON_MEMORY = "running low on memory"  # Ray's message when it kills a process before the kernel does


class MachineFault(Exception):
    """A read or write that failed in a trial's process, such as on a full disk: no fault of the trial, in one line."""


FAULT = re.compile(rf"{MachineFault.__name__}: (.+)")  # in the text of Tune's error


class Relay(tune.Callback):
    """Passes Tune's events on to the observers of the sweep, and ends the sweep when `stop` asks for it."""

    def __init__(
        self, jobs: Sequence[Job], store: Store, observers: Sequence[Observer], progress: Progress, stop: SweepStop
    ) -> None:
        self.jobs, self.store, self.observers, self.progress, self.stop = jobs, store, observers, progress, stop
        self.kills_at_first = count_kernel_kills()
        self.kills_before: dict[str, int] = {}  # at the start of each trial, by id; none if its process never started

    def __getstate__(self) -> dict:
        """Empty: Tune pickles its callbacks for `Tuner.restore`, which the store replaces here."""
        return {}

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.kills_before[trial.trial_id] = count_kernel_kills()
        if self.stop.asked():  # the process of this trial ends without having trained
            return
        self.stop.running.add(trial.trial_id)
        for observer in self.observers:
            observer.started(self.jobs[trial.config["job"]])

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        for observer in self.observers:
            observer.epoch(self.jobs[trial.config["job"]], result["numbers"])

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.stop.running.discard(trial.trial_id)
        job = self.jobs[trial.config["job"]]
        record = self.store.finished(job.key) or self.store.failed(job.key)
        for observer in self.observers if record else ():
            observer.ended(job, record)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """The process died for good. Tune's results do not name a trial that died before its first report."""
        self.stop.running.discard(trial.trial_id)
        if self.stop.asked():  # a signal to the whole group or job ends the trials' processes too
            return
        job = self.jobs[trial.config["job"]]
        message = (
            Path(trial.error_file).read_text().rpartition("Failure # ")[2].partition("\n")[2]
        )  # of the last failure
        if fault := FAULT.search(message):
            self.stop.end_for(fault[1])
            return
        kills = count_kernel_kills() - self.kills_before.get(trial.trial_id, self.kills_at_first)
        record = crashed(job, self.store, message, out_of_memory=LOW_ON_MEMORY in message, kernel_kills=kills)
        for observer in self.observers:
            observer.ended(job, record)

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self.progress.tick()
        self.stop.proceed()
