"""Run the missing trials of some studies, log them to MLflow, and write their results."""

import argparse
from collections.abc import Sequence
from contextlib import ExitStack

from experiments.jobs import list_jobs, longest_first, waiting
from experiments.params import Params
from experiments.planning.data_facts import KnownData
from experiments.provenance import provenance
from experiments.search.file import Search
from experiments.search.stopped_early import is_stopped_early
from experiments.store import STORE, Store
from experiments.study import Study


def run_studies(
    studies: Sequence[Study], params: Params, arguments: argparse.Namespace, search: Search | None = None
) -> int:
    """Run the missing trials of the studies, log them, and write the results; returns the exit status.

    With `train_only` it writes no results, and failed trials do not fail the sweep: `experiments.collect` tries them
    again. With `search`, whose trials the studies are, poor ones may be stopped early, and are not run again.
    """
    made_from, data = provenance(), KnownData()
    store = Store(STORE)
    jobs_of = {study.name: list_jobs(study, made_from, params.resources.workers, data) for study in studies}
    jobs = [job for of_study in jobs_of.values() for job in of_study]
    to_run = longest_first(waiting(jobs, store, fresh=arguments.fresh))
    store.remember_whole()
    if search is not None and not arguments.fresh:
        to_run = [job for job in to_run if not is_stopped_early(store.failed(job.key))]
    distinct = len({job.key for job in jobs})
    shared = f" ({len(jobs)} in the studies, which share some)" if distinct < len(jobs) else ""
    print(f"{distinct} trials{shared}, {distinct - len(to_run)} already finished, {len(to_run)} to run", flush=True)
    for trial, reason in (trial_and_reason for study in studies for trial_and_reason in study.left_out):
        print(f"{trial.study}: {trial.name}: {reason}")
    with ExitStack() as ray:
        sweep = None
        if to_run and not arguments.in_process:
            from experiments.parallel.session import ray_started  # loads Ray, which takes a second

            # Now: the processes of the trials load torch while this one loads it, and MLflow.
            sweep = ray.enter_context(ray_started(params.resources))
        from experiments.conduct import Sweep, conduct

        return conduct(Sweep(studies, jobs_of, to_run, store, search), params, arguments, sweep, ray)
