"""Run the jobs of a sweep in parallel with Ray Tune."""

import logging
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from ray import tune
from ray.tune.schedulers import TrialScheduler

from core.compute.interrupt import Interrupted, stop_requests
from experiments.jobs import Job
from experiments.parallel.described import describe_jobs, name_trial, search_for
from experiments.parallel.nodes.joining import joined
from experiments.parallel.placement import asked_per_trial
from experiments.parallel.relay import Relay
from experiments.parallel.start import joins_cluster
from experiments.parallel.stop import SweepStop
from experiments.parallel.trainable import train_job
from experiments.params import Resources
from experiments.progress import Progress
from experiments.store import Store
from experiments.sweep import Observer

CRASHES_FORGIVEN = 1  # restarts, from its checkpoint, of a trial whose process died (not of one that raised)


def run_with_ray(
    jobs: Sequence[Job],
    store: Store,
    resources: Resources,
    observers: Sequence[Observer],
    progress: Progress,
    sweep: Path,
    scheduler: TrialScheduler | None = None,
) -> None:
    """Run jobs in parallel, as many at once as `resources` allows; each writes its record to the store.

    `sweep` is the folder of `ray_started`. `scheduler` may stop trials early, which get a record that says so
    (`stopped_early`).

    Raises:
        ValueError: if trials would fail on a node; names the node.
        OSError: if the head of a cluster is gone, or trials cannot read or write their files, as on a full disk.
        Interrupted: if SIGTERM or Ctrl-C ended the sweep; the remaining jobs then have no record.
    """
    folder, flag = Path.cwd(), sweep / "stop"
    with ExitStack() as until_the_end:
        cluster = None
        if joins_cluster():
            cluster = until_the_end.enter_context(joined(jobs, store, resources, folder, flag, progress))
        given = {"jobs": list(jobs), "store": store, "resources": resources, "folder": folder, "flag": flag}
        given["cluster"] = cluster
        let_trials_take_idle_processes()
        space, search = search_for(describe_jobs(jobs), resources.parallel_trials)
        with stop_requests() as asked:
            stop = SweepStop(asked, flag, progress)
            tuner = tune.Tuner(
                tune.with_resources(tune.with_parameters(train_job, **given), asked_per_trial(resources)),
                param_space=space,
                tune_config=tune.TuneConfig(
                    search_alg=search,
                    scheduler=scheduler,
                    num_samples=len(jobs),
                    reuse_actors=True,
                    trial_name_creator=name_trial,
                    trial_dirname_creator=name_trial,
                ),
                run_config=tune.RunConfig(
                    name=sweep.name,
                    storage_path=str(sweep.parent),
                    failure_config=tune.FailureConfig(max_failures=CRASHES_FORGIVEN),
                    callbacks=[
                        Relay(
                            jobs,
                            store,
                            observers,
                            progress,
                            stop,
                            of_cluster=cluster is not None,
                            may_stop_early=scheduler is not None,
                        )
                    ],
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


def let_trials_take_idle_processes() -> None:
    """Have Tune run trials in the processes that Ray started with itself, which load torch early (`imported_early`).

    Tune would have others started, since it sets a variable for PyTorch Lightning in the environment of a trial, and
    the idle processes do not have it. A version of Tune that keeps it elsewhere starts its trials some seconds later.
    """
    with suppress(ImportError, AttributeError):
        from ray.tune.execution import class_cache

        class_cache.DEFAULT_ENV_VARS.clear()
