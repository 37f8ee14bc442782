"""Run studies: `python -m experiments.run --study loss_terms`. The only file that imports Ray.

Trials that the store holds are not run again. A trial that was stopped goes on from its checkpoint, so the same
command takes up an interrupted sweep. `RAY_ADDRESS` joins a cluster whose nodes share this folder.

Exit status: 0 all trials finished, 1 some failed, 2 an input is wrong, 130 interrupted.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune

from experiments.memory import GIGABYTE, count_kernel_kills
from experiments.params import Params, Resources, load_params
from experiments.plan import TERAFLOPS, print_plan
from experiments.progress import Progress
from experiments.provenance import provenance
from experiments.recipe import base_settings
from experiments.results import write_results
from experiments.store import Store
from experiments.study import Study, load_study
from experiments.sweep import (
    Job,
    Observer,
    check_data,
    collect,
    crashed,
    list_jobs,
    run_job,
    run_one_by_one,
    waiting,
)
from experiments.tracking import Tracking

INTERRUPTED = 130
LOW_ON_MEMORY = "running low on memory"  # said by Ray where it kills a process before the kernel does
# glibc hands freed memory back to the system and takes it anew at every training step, which costs a small network on
# the CPU a sixth of its time. With these, a process keeps up to 2 GB that it has freed.
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(2**25),  # bytes; the largest that glibc takes
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(2**26),
}
CRASHES_FORGIVEN = 1  # times that a trial whose process died (not: raised) is started again, from its checkpoint


class Relay(tune.Callback):
    """Passes what Tune tells the driver on to the observers of the sweep."""

    def __init__(self, jobs: Sequence[Job], store: Store, observers: Sequence[Observer], progress: Progress) -> None:
        self.jobs, self.store, self.observers, self.progress = jobs, store, observers, progress
        self.kills_before = count_kernel_kills()

    def __getstate__(self) -> dict:
        """Nothing: Tune keeps its callbacks on disk for `Tuner.restore`, which the store makes needless here."""
        return {}

    def on_trial_start(self, iteration: int, trials: list, trial: Any, **info: Any) -> None:
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
        """The trial's process died for good. Tune's results would not say which, if it was before the first report."""
        job = self.jobs[trial.config["job"]]
        message = Path(trial.error_file).read_text().rpartition("Failure # ")[2].partition("\n")[2]  # the last one's
        memory_ran_out = LOW_ON_MEMORY in message or count_kernel_kills() > self.kills_before
        record = crashed(job, self.store, message, out_of_memory=memory_ran_out)
        for observer in self.observers:
            observer.ended(job, record)

    def on_step_end(self, iteration: int, trials: list, **info: Any) -> None:
        self.progress.tick()


def run_with_ray(
    jobs: Sequence[Job], store: Store, resources: Resources, observers: Sequence[Observer], progress: Progress
) -> None:
    """Run jobs side by side, as many as `resources` allows; each leaves its record in the store.

    An interrupt ends this normally, with jobs that have no record.

    Raises:
        ValueError: if no node has what one trial asks for.
    """
    folder = Path.cwd()
    sweep = folder / ".ray" / f"sweep-{os.getpid()}"  # Tune's own notes: the results are in the store

    def trainable(settings: dict, jobs: Sequence[Job]) -> None:
        os.chdir(folder)  # relative paths of a recipe mean the folder in which the command was given
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
    """Join the cluster of `RAY_ADDRESS`, or start Ray on this machine for the time of the sweep."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # curves are in the records
    os.environ |= KEEP_FREED_MEMORY | os.environ  # inherited by the processes that Ray starts on this machine
    common = {"log_to_driver": False, "logging_level": "ERROR"}
    if "RAY_ADDRESS" in os.environ:
        ray.init(**common)
        return
    num_cpus = resources.parallel_trials * resources.cpus_per_trial
    ray.init(num_cpus=num_cpus, include_dashboard=False, **common)


def asked_per_trial(resources: Resources) -> dict[str, float]:
    """What Ray sets aside for a trial: so many run at once as fit; memory in bytes."""
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
                f"params: resources ask for {asked / unit:g} {words} a trial, the largest node has {most / unit:.3g}"
            )


def run_studies(studies: Sequence[Study], params: Params, arguments: argparse.Namespace) -> int:
    """Run what is missing of the studies, log it, and write their results; returns the exit status."""
    made_from = provenance()
    store = Store(Path(".store"))
    jobs_of = {study.name: list_jobs(study, made_from) for study in studies}
    jobs = [job for of_study in jobs_of.values() for job in of_study]
    if arguments.fresh:
        for job in jobs:
            store.forget(job.key)
    to_run = waiting(jobs, store)
    for job in to_run:
        store.forget_failure(job.key)  # of a sweep before this one: whether it still fails is to be seen
    print(f"{len(jobs)} trials, {len(jobs) - len(to_run)} of them finished before, {len(to_run)} to run", flush=True)
    check_data(to_run, allow_holes=arguments.allow_holes or params.allow_holes)
    tracking = [Tracking(study, jobs_of[study.name], store, Path.cwd()) for study in studies]
    if to_run:
        progress = Progress(to_run, 1 if arguments.in_process else params.resources.parallel_trials)
        observers: list[Observer] = [progress, *tracking]
        try:
            if arguments.in_process:
                run_one_by_one(to_run, store, params.resources, observers)
            else:
                run_with_ray(to_run, store, params.resources, observers, progress)
        except Exception:  # the machine cannot run the trials, or Ray does not start
            for log in tracking:
                log.close({})
            raise
        except KeyboardInterrupt:
            pass  # as after Ray's normal return: the trials without a record tell
        finally:
            progress.close()
    status = 0
    for study, log in zip(studies, tracking, strict=True):
        records = collect(jobs_of[study.name], store)
        run_ids = log.complete(records)
        log.close(records)
        # so that every number of the analysis leads to its run
        records = {key: record | {"mlflow_run_id": run_ids.get(key)} for key, record in records.items()}
        status = max(
            status,
            finish(study, jobs_of[study.name], records, store, allow_holes=arguments.allow_holes or params.allow_holes),
        )
    return status


def finish(
    study: Study, jobs: Sequence[Job], records: dict[str, dict[str, Any]], store: Store, *, allow_holes: bool
) -> int:
    """Write a study's results if every trial has ended, well or badly; returns the exit status."""
    missing = [job for job in jobs if job.key not in records]
    if missing:
        print(
            f"interrupted: {study.name}: {len(missing)} of {len(jobs)} trials have not ended, no results written; "
            "the same command goes on from there",
            file=sys.stderr,
        )
        return INTERRUPTED
    path = write_results(study, jobs, records, store, Path("results"))
    failed = [job for job in jobs if records[job.key]["status"] != "ok"]
    for job in failed:
        print(f"failed: {study.name}: {job.trial.name}: {records[job.key]['reason']}", file=sys.stderr)
    print(f"{path}: {len(jobs) - len(failed)} of {len(jobs)} trials")
    return 1 if failed and not allow_holes else 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.run", description="Run the trials of studies.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("studies", nargs="*", default=(), metavar="STUDY", help="several in one sweep, as --study")
    which.add_argument("--study", help="one file of experiments/studies, without its ending")
    which.add_argument("--all", action="store_true", help="all studies of params.yaml, their trials in one sweep")
    parser.add_argument("--fresh", action="store_true", help="run every trial again, whatever the store holds")
    parser.add_argument("--allow-holes", action="store_true", help="exit with 0 although trials failed")
    parser.add_argument("--in-process", action="store_true", help="without Ray, one trial after the other")
    parser.add_argument("--dry-run", action="store_true", help="only print what the studies take and would run")
    of_hours = "TFLOP/s that a device sustains, for the hours of a dry run (%(default)g: an assumption)"
    parser.add_argument("--teraflops", type=float, default=TERAFLOPS, help=of_hours)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args(words)
    try:
        params = load_params(arguments.params)
        settings_of = partial(base_settings, params, str(arguments.params))
        names = params.studies if arguments.all else arguments.studies or (arguments.study,)
        studies = [load_study(name, settings_of(), params.seeds, recipe_settings=settings_of) for name in names]
        if arguments.dry_run:
            print_plan(studies, Store(Path(".store")), teraflops=arguments.teraflops, fresh=arguments.fresh)
            return 0
        return run_studies(studies, params, arguments)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
