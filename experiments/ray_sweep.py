"""Run trials in parallel with Ray Tune. The only file that imports Ray.

Tune starts the trials and restarts those whose process died. Results go to the store, not through Tune.

The first SIGTERM or Ctrl-C asks the running trials to end after their step, with a checkpoint; a second one ends the
sweep at once. The trials learn it from a file in the folder of the sweep, which all nodes share.
"""

import logging
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray import tune

from core.compute.failure import describe
from core.compute.interrupt import Interrupted, stop_requests
from experiments.memory import GIGABYTE, count_kernel_kills
from experiments.params import Resources
from experiments.progress import Progress
from experiments.store import Store
from experiments.sweep import Job, Observer, crashed, run_job

LOW_ON_MEMORY = "running low on memory"  # Ray's message when it kills a process before the kernel does
STOP_SECONDS = 20.0  # until running trials are given up when the sweep stops; Slurm and Kubernetes kill after 30
CRASHES_FORGIVEN = 1  # restarts, from its checkpoint, of a trial whose process died (not of one that raised)


class MachineFault(Exception):
    """A read or write that failed in a trial's process, such as on a full disk: no fault of the trial, in one line."""


FAULT = re.compile(rf"{MachineFault.__name__}: (.+)")  # in the text of Tune's error


class Relay(tune.Callback):
    """Passes Tune's events on to the observers of the sweep, and ends the sweep when `stop` asks for it."""

    def __init__(
        self, jobs: Sequence[Job], store: Store, observers: Sequence[Observer], progress: Progress, stop: "SweepStop"
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


def run_with_ray(
    jobs: Sequence[Job], store: Store, resources: Resources, observers: Sequence[Observer], progress: Progress
) -> None:
    """Run jobs in parallel, as many at once as `resources` allows; each writes its record to the store.

    Raises:
        ValueError: if no node has the resources of one trial.
        OSError: if trials cannot read or write their files, as on a full disk.
        Interrupted: if SIGTERM or Ctrl-C ended the sweep; the remaining jobs then have no record.
    """
    folder = Path.cwd()
    with sweep_folder(folder / ".ray") as sweep:
        flag = sweep / "stop"

        def trainable(settings: dict, jobs: Sequence[Job]) -> None:
            os.chdir(folder)  # relative paths in a recipe start from the folder of the command
            if read_flag(flag):
                return

            def report(numbers: dict[str, float]) -> None:
                tune.report({"numbers": numbers})

            try:
                run_job(jobs[settings["job"]], store, resources, report, stop=lambda: read_flag(flag))
            except Interrupted:
                pass  # it has a checkpoint and no record
            except OSError as error:
                raise MachineFault(describe(error)) from error

        with sigterm_held_back():
            start_ray(resources)
        check_resources(resources)
        with stop_requests() as asked:
            stop = SweepStop(asked, flag, progress)
            tuner = tune.Tuner(
                tune.with_resources(
                    tune.with_parameters(trainable, jobs=list(jobs)),
                    asked_per_trial(resources),
                ),
                param_space={"job": tune.grid_search(list(range(len(jobs))))},
                tune_config=tune.TuneConfig(max_concurrent_trials=resources.parallel_trials),
                run_config=tune.RunConfig(
                    name=sweep.name,
                    storage_path=str(sweep.parent),
                    failure_config=tune.FailureConfig(max_failures=CRASHES_FORGIVEN),
                    callbacks=[Relay(jobs, store, observers, progress, stop)],
                    verbose=0,
                ),
            )
            try:
                tuner.fit()
            except Exception as error:
                if not asked():  # else the signal has ended Ray's processes too
                    raise
                logging.debug("Ray ended with the sweep: %s", error)
            if number := asked():
                raise Interrupted("stopped", number)
            if stop.fault:
                raise OSError(stop.fault)


@contextmanager
def sweep_folder(root: Path) -> Iterator[Path]:
    """A new folder for Tune's own state; at the end Ray is shut down and the folder is removed."""
    root.mkdir(exist_ok=True)
    sweep = Path(tempfile.mkdtemp(prefix="sweep-", dir=root))
    try:
        yield sweep
    finally:
        with sigterm_held_back():
            ray.shutdown()
            shutil.rmtree(sweep, ignore_errors=True)


def start_ray(resources: Resources) -> None:
    """Join the cluster at `RAY_ADDRESS`, or start Ray on this machine for the duration of the sweep.

    Ray's processes inherit that SIGTERM is held back: one that is sent to all processes of a job is the driver's to
    answer. If they died of it, Ray would keep the driver waiting for a minute, and then end it.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the records have the curves
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # the sweep has its own
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the records have the tracebacks
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if "RAY_ADDRESS" in os.environ:
        ray.init(**common)
        return
    num_cpus = resources.parallel_trials * resources.cpus_per_trial
    ray.init(num_cpus=num_cpus, include_dashboard=False, **common)


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


def asked_per_trial(resources: Resources) -> dict[str, float]:
    """Resources that Ray reserves per trial, which limit how many run at once; memory in bytes."""
    memory = {"memory": resources.memory_per_trial_gb * GIGABYTE} if resources.memory_per_trial_gb else {}
    return {"cpu": resources.cpus_per_trial, "gpu": resources.gpus_per_trial, **memory}


def check_resources(resources: Resources) -> None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    names = {"cpu": ("CPU", 1, "CPU"), "gpu": ("GPU", 1, "GPU"), "memory": ("memory", GIGABYTE, "GB of memory")}
    for kind, asked in asked_per_trial(resources).items():
        name, unit, words = names[kind]
        most = max((node.get(name, 0) for node in nodes), default=0)
        if asked > most:
            raise ValueError(
                f"params: resources ask for {asked / unit:g} {words} per trial, but the largest node has "
                f"{most / unit:.3g}; ask for less, or join a larger machine"
            )
