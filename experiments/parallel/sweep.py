"""Run the jobs of a sweep in parallel with Ray Tune."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import ray
from ray import tune
from ray.tune.schedulers import TrialScheduler

from core.compute.interrupt import Interrupted, stop_requests
from experiments.jobs import Job
from experiments.parallel.described import describe_jobs, name_trial, search_for
from experiments.parallel.nodes.code_copy import copy_code
from experiments.parallel.nodes.joining import joined
from experiments.parallel.nodes.watch import HeadLost, head_watched
from experiments.parallel.placement import asked_per_trial, check_resources
from experiments.parallel.relay import Relay
from experiments.parallel.start import joins_cluster, start_ray
from experiments.parallel.stop import SweepStop, sigterm_held_back
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
    scheduler: TrialScheduler | None = None,
) -> None:
    """Run jobs in parallel, as many at once as `resources` allows; each writes its record to the store.

    `scheduler` may stop trials early, which get a record that says so (`stopped_early`).

    Raises:
        ValueError: if no node has the resources of one trial, or trials would fail on a node; names the node.
        OSError: if Ray does not start, the head of a cluster is gone, or trials cannot read or write their files, as on
            a full disk.
        Interrupted: if SIGTERM or Ctrl-C ended the sweep; the remaining jobs then have no record.
    """
    folder = Path.cwd()
    with sweep_folder(folder / ".ray") as sweep, ExitStack() as until_the_end:
        flag = sweep / "stop"
        cluster = None
        if joins_cluster():
            code = copy_code(sweep / "code")
            with sigterm_held_back():
                start_ray(resources, code)
            until_the_end.enter_context(head_watched(ray.get_runtime_context().gcs_address))
            check_resources(resources)
            cluster = until_the_end.enter_context(joined(jobs, store, resources, folder, flag, progress))
        else:
            with sigterm_held_back():
                start_ray(resources)
            check_resources(resources)
        given = {"jobs": list(jobs), "store": store, "resources": resources, "folder": folder, "flag": flag}
        given["cluster"] = cluster
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


@contextmanager
def sweep_folder(root: Path) -> Iterator[Path]:
    """A new folder for Tune's own state; at the end Ray is shut down and the folder is removed."""
    root.mkdir(exist_ok=True)
    sweep = Path(tempfile.mkdtemp(prefix="sweep-", dir=root))
    lost = False
    try:
        yield sweep
    except HeadLost:
        lost = True
        raise
    finally:
        with sigterm_held_back():
            if not lost:  # else it would wait for the head
                ray.shutdown()
            shutil.rmtree(sweep, ignore_errors=True)
