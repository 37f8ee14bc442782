"""Run trials in parallel with Ray Tune. The only file that imports Ray.

Tune starts the trials and restarts those whose process died. Results go to the store, not through Tune.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune

from experiments.memory import GIGABYTE, count_kernel_kills
from experiments.params import Resources
from experiments.progress import Progress
from experiments.store import Store
from experiments.sweep import Job, Observer, crashed, run_job

LOW_ON_MEMORY = "running low on memory"  # Ray's message when it kills a process before the kernel does
CRASHES_FORGIVEN = 1  # restarts, from its checkpoint, of a trial whose process died (not of one that raised)


class Relay(tune.Callback):
    """Passes Tune's events on to the observers of the sweep."""

    def __init__(self, jobs: Sequence[Job], store: Store, observers: Sequence[Observer], progress: Progress) -> None:
        self.jobs, self.store, self.observers, self.progress = jobs, store, observers, progress
        self.kills_at_first = count_kernel_kills()
        self.kills_before: dict[str, int] = {}  # at the start of each trial, by id; none if its process never started

    def __getstate__(self) -> dict:
        """Empty: Tune pickles its callbacks for `Tuner.restore`, which the store replaces here."""
        return {}

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        self.kills_before[trial.trial_id] = count_kernel_kills()
        for observer in self.observers:
            observer.started(self.jobs[trial.config["job"]])

    def on_trial_result(self, iteration: int, trials: list, trial: Any, result: dict, **info: Any) -> None:
        for observer in self.observers:
            observer.epoch(self.jobs[trial.config["job"]], result["numbers"])

    def on_trial_complete(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        job = self.jobs[trial.config["job"]]
        record = self.store.finished(job.key) or self.store.failed(job.key)
        for observer in self.observers if record else ():
            observer.ended(job, record)

    def on_trial_error(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
        """The process died for good. Tune's results do not name a trial that died before its first report."""
        job = self.jobs[trial.config["job"]]
        message = (
            Path(trial.error_file).read_text().rpartition("Failure # ")[2].partition("\n")[2]
        )  # of the last failure
        kills = count_kernel_kills() - self.kills_before.get(trial.trial_id, self.kills_at_first)
        record = crashed(job, self.store, message, out_of_memory=LOW_ON_MEMORY in message, kernel_kills=kills)
        for observer in self.observers:
            observer.ended(job, record)

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self.progress.tick()


def run_with_ray(
    jobs: Sequence[Job], store: Store, resources: Resources, observers: Sequence[Observer], progress: Progress
) -> None:
    """Run jobs in parallel, as many at once as `resources` allows; each writes its record to the store.

    Returns normally after an interrupt; the remaining jobs then have no record.

    Raises:
        ValueError: if no node has the resources of one trial.
    """
    folder = Path.cwd()
    sweep = folder / ".ray" / f"sweep-{os.getpid()}"  # Tune's own state; results are in the store

    def trainable(settings: dict, jobs: Sequence[Job]) -> None:
        os.chdir(folder)  # relative paths in a recipe start from the folder of the command
        run_job(jobs[settings["job"]], store, resources, lambda numbers: tune.report({"numbers": numbers}))

    try:
        start_ray(resources)
        check_resources(resources)
        tune.Tuner(
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
                callbacks=[Relay(jobs, store, observers, progress)],
                verbose=0,
            ),
        ).fit()
    finally:
        ray.shutdown()
        shutil.rmtree(sweep, ignore_errors=True)


def start_ray(resources: Resources) -> None:
    """Join the cluster at `RAY_ADDRESS`, or start Ray on this machine for the duration of the sweep."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the records have the curves
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if "RAY_ADDRESS" in os.environ:
        ray.init(**common)
        return
    num_cpus = resources.parallel_trials * resources.cpus_per_trial
    ray.init(num_cpus=num_cpus, include_dashboard=False, **common)


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
