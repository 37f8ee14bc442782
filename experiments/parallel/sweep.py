"""Run the jobs of a sweep in parallel with Ray Tune."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import ray
from ray import tune

from core.compute.failure import describe
from core.compute.interrupt import Interrupted, stop_requests
from experiments.jobs import Job
from experiments.parallel.relay import MachineFault, Relay
from experiments.parallel.start import asked_per_trial, check_resources, start_ray
from experiments.parallel.stop import SweepStop, read_flag, sigterm_held_back
from experiments.params import Resources
from experiments.progress import Progress
from experiments.store import Store
from experiments.sweep import Observer, run_job

CRASHES_FORGIVEN = 1  # restarts, from its checkpoint, of a trial whose process died (not of one that raised)


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
