"""Conduct a sweep whose trials are known: check their data, train them, log them to MLflow, write the results."""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

from core.compute.command import INTERRUPTED, TERMINATED
from core.compute.interrupt import Interrupted
from core.record import Record
from experiments.check_data import check_data
from experiments.jobs import Job, collect
from experiments.params import Params
from experiments.progress import Progress
from experiments.results.files import RESULTS
from experiments.results.write import write_results
from experiments.search.file import Search
from experiments.search.stopped_early import is_stopped_early
from experiments.store import Store
from experiments.study import Study
from experiments.sweep import Observer, run_one_by_one
from experiments.tracking.log import END_SECONDS, INTERRUPTED_SECONDS, Tracking

FAILED = 1  # exit status


@dataclass(frozen=True)
class Sweep:
    """Some studies, with their jobs by name, and those of the jobs that are to run."""

    studies: Sequence[Study]
    jobs_of: Mapping[str, Sequence[Job]]
    to_run: Sequence[Job]
    store: Store
    search: Search | None


def conduct(sweep: Sweep, params: Params, arguments: argparse.Namespace, folder: Path | None, ray: ExitStack) -> int:
    """Run the jobs of a sweep, log them, and write the results of its studies; returns the exit status.

    `folder` is that of `ray_started`, and `ray` ends Ray, which is not needed for the results; without them the jobs
    run in this process.
    """
    studies, jobs_of, to_run, store = sweep.studies, sweep.jobs_of, sweep.to_run, sweep.store
    check_data(to_run, allow_holes=arguments.allow_holes or params.allow_holes)
    tracking = Tracking([(study, jobs_of[study.name]) for study in studies], store, Path.cwd())
    again = {job.key for job in to_run}  # other MLflow runs may take the place of theirs
    for study in studies:
        store.limit_run_ids(study.name, {job.key for job in jobs_of[study.name]} - again)
    for job in to_run:  # only now, after every check that could stop the sweep before a trial starts
        store.forget_failure(job.key)  # from an earlier sweep; the trial may succeed this time
        if arguments.fresh:
            with store.lock(job.key):
                store.forget(job.key)
    interrupt: KeyboardInterrupt | None = None
    if to_run:
        progress = Progress(to_run, 1 if folder is None else params.resources.parallel_trials)
        observers: list[Observer] = [progress, tracking]
        try:
            if folder is None:
                run_one_by_one(to_run, store, params.resources, observers, progress=sys.stderr.isatty())
            else:
                from experiments.parallel.sweep import run_with_ray  # takes seconds: only if there are trials to run

                scheduler = None
                if sweep.search is not None and sweep.search.halving is not None:
                    from experiments.parallel.tuning import EarlyStopping

                    scheduler = EarlyStopping(sweep.search.halving, sweep.search.metric)
                with ray.pop_all():
                    run_with_ray(to_run, store, params.resources, observers, progress, folder, scheduler)
        except Exception:  # the machine cannot run the trials, or the cluster is lost
            records_of = {study.name: collect(jobs_of[study.name], store) for study in studies}
            tracking.finish(records_of, seconds=INTERRUPTED_SECONDS)
            raise
        except KeyboardInterrupt as signaled:  # what has ended is kept: trials without a record show the interrupt
            interrupt = signaled
        finally:
            progress.close()
    status = 0
    records_of = {study.name: collect(jobs_of[study.name], store) for study in studies}
    written = []
    for study in studies:
        records = records_of[study.name]
        ended = report_failures(study, jobs_of[study.name], records)
        if ended != INTERRUPTED and not arguments.train_only:
            store.keep_run_ids(study.name, tracking.run_ids(study.name))
            write_study(study, jobs_of[study.name], records, store)
            written.append(study.name)
        if ended == FAILED and (arguments.train_only or arguments.allow_holes or params.allow_holes):
            ended = 0
        status = max(status, ended)
    # only now: results do not wait for MLflow
    tracking.finish(
        records_of, seconds=INTERRUPTED_SECONDS if status == INTERRUPTED else END_SECONDS if to_run else math.inf
    )
    for study in studies:
        if store.keep_run_ids(study.name, tracking.run_ids(study.name)) and study.name in written:
            write_records(study, jobs_of[study.name], records_of[study.name], store)
    if tracking.problem:
        command = "the same command"
        if arguments.train_only and sweep.search is None:  # DVC does not run a stage again that has ended well
            command = f"`python -m experiments.run {' '.join(jobs_of)} --train-only`"
        kept = "results are written" if len(written) == len(studies) else "the store has every trial that ended"
        print(f"warning: {tracking.problem}; {kept}, and {command} sends the rest to MLflow", file=sys.stderr)
    if status != INTERRUPTED:
        return status
    return report_interrupt(interrupt, [job for of_study in jobs_of.values() for job in of_study], store)


def report_failures(study: Study, jobs: Sequence[Job], records: dict[str, Record]) -> int:
    """Print which trials failed; returns the exit status, INTERRUPTED if some have not ended."""
    if any(job.key not in records for job in jobs):
        return INTERRUPTED
    failed = [job for job in jobs if records[job.key].status != "ok" and not is_stopped_early(records[job.key])]
    for job in failed:
        print(f"failed: {study.name}: {job.trial.name}: {records[job.key].reason}", file=sys.stderr)
    return FAILED if failed else 0


def report_interrupt(interrupt: KeyboardInterrupt | None, jobs: Sequence[Job], store: Store) -> int:
    """Print how many trials have not ended; returns the exit status, by the signal."""
    terminated = isinstance(interrupt, Interrupted) and interrupt.signal_number == SIGTERM
    keys = {job.key for job in jobs}
    print(
        f"{'terminated' if terminated else 'interrupted'}: {len(keys - collect(jobs, store).keys())} of {len(keys)} "
        "trials have not ended; run the same command without --fresh to resume",
        file=sys.stderr,
    )
    return TERMINATED if terminated else INTERRUPTED


def write_study(study: Study, jobs: Sequence[Job], records: dict[str, Record], store: Store) -> None:
    """Write the results of a study once all its trials have ended."""
    path = write_records(study, jobs, records, store)
    print(f"{path}: {sum(records[job.key].status == 'ok' for job in jobs)} of {len(jobs)} trials")


def write_records(study: Study, jobs: Sequence[Job], records: dict[str, Record], store: Store) -> Path:
    """Write the results, each record with the id of its MLflow run where that is known."""
    run_ids = store.run_ids(study.name)
    records = {key: record.changed(mlflow_run_id=run_ids.get(key)) for key, record in records.items()}
    return write_results(study, jobs, records, store, RESULTS)
