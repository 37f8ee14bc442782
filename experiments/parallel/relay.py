"""What Tune tells the sweep: passed on to its observers, and written as records of the trials whose process died."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import AUTO_RESULT_KEYS, DONE, EXPERIMENT_TAG, SHOULD_CHECKPOINT, TRIAL_ID

from experiments.jobs import Job
from experiments.memory import count_kernel_kills
from experiments.parallel.described import KEY
from experiments.parallel.stop import SweepStop
from experiments.parallel.trainable import FAILED, MachineFault, TrialFailed
from experiments.progress import Progress
from experiments.search.stopped_early import stopped_early
from experiments.store import Store
from experiments.sweep import Observer, crashed, describe_job
from experiments.trial_workers import WorkerDied

LOW_ON_MEMORY = "running low on memory"  # Ray's message when it kills a process before the kernel does
FAULT = re.compile(rf"{MachineFault.__name__}: (.+)")  # in the text of Tune's error
DIED = re.compile(rf"{WorkerDied.__name__}: (.+)")
NODE_LOST = re.compile(r"its node has died|actor is (?:temporarily )?unavailable|actor \w+ is unavailable")
NODE_LOSSES_FORGIVEN = 5  # a trial that takes one machine after the other down must end at some time
ON_NODE = re.compile(r"^\s*ip: (\S+)", re.MULTILINE)  # in Ray's message
NOT_OURS = {*AUTO_RESULT_KEYS, DONE, EXPERIMENT_TAG, SHOULD_CHECKPOINT, TRIAL_ID, "loss"}  # among what Tune passes on


class Relay(tune.Callback):
    """Passes Tune's events on to the observers of the sweep, and ends the sweep when `stop` asks for it."""

    def __init__(
        self,
        jobs: Sequence[Job],
        store: Store,
        observers: Sequence[Observer],
        progress: Progress,
        stop: SweepStop,
        *,
        of_cluster: bool = False,
        may_stop_early: bool = False,
    ) -> None:
        self.jobs = {job.key: job for job in jobs}
        self.store, self.observers, self.progress, self.stop = store, observers, progress, stop
        self.of_cluster, self.may_stop_early = of_cluster, may_stop_early
        self.nodes_lost: dict[str, int] = {}  # by id of the trial
        self.curves: dict[str, list[dict[str, float]]] = {}  # of each trial that may be stopped early, by id
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
            observer.started(self.jobs[trial.config[KEY]])

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        if FAILED in result:
            trial.max_failures = trial.num_failures  # else Tune would try it again when it raises, as after a crash
            return
        numbers = {name: value for name, value in result.items() if name not in NOT_OURS}
        if self.may_stop_early:
            self.curves.setdefault(trial.trial_id, []).append(numbers)
        for observer in self.observers:
            observer.epoch(self.jobs[trial.config[KEY]], numbers)

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.stop.running.discard(trial.trial_id)
        job = self.jobs[trial.config[KEY]]
        record = self.store.finished(job.key) or self.store.failed(job.key)
        curves = self.curves.pop(trial.trial_id, [])
        if record is None and not self.stop.asked():
            if curves:
                record = stopped_early(job, self.store, describe_job(job), curves)
            else:
                record = crashed(job, self.store, f"it ended without a record in {self.store.root}")
        for observer in self.observers if record else ():
            observer.ended(job, record)

    def on_trial_recover(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """The trial is tried again, and reports all its epochs. That its node is gone is no failure of its own."""
        self.curves.pop(trial.trial_id, None)
        losses = self.nodes_lost.get(trial.trial_id, 0)
        if losses < NODE_LOSSES_FORGIVEN and NODE_LOST.search(last_error(trial)):
            self.nodes_lost[trial.trial_id] = losses + 1
            trial.max_failures += 1

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """The trial failed, or its process died for good, which Tune's results do not say before its first report."""
        self.stop.running.discard(trial.trial_id)
        job = self.jobs[trial.config[KEY]]
        message = last_error(trial)
        record = self.store.failed(job.key) if TrialFailed.__name__ in message else None
        if record is None:
            if self.stop.asked():  # a signal to the whole group or job ends the trials' processes too
                return
            if fault := FAULT.search(message):
                self.stop.end_for(fault[1])
                return
            if died := DIED.search(message):  # in the words of the process that saw it, before Ray's own
                message = f"{died[1]}\n{message}"
            elif self.of_cluster and (node := ON_NODE.search(message)):
                message = f"on node {node[1]}: {message}"
            kills = count_kernel_kills() - self.kills_before.get(trial.trial_id, self.kills_at_first)
            record = crashed(job, self.store, message, out_of_memory=LOW_ON_MEMORY in message, kernel_kills=kills)
        for observer in self.observers:
            observer.ended(job, record)

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self.progress.tick()
        self.stop.proceed()


def last_error(trial: Any) -> str:
    """Ray's text for the last failure of a trial."""
    return Path(trial.error_file).read_text().rpartition("Failure # ")[2].partition("\n")[2]
