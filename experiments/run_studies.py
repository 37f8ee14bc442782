"""Run the missing trials of some studies, log them to MLflow, and write their results."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM

from core.compute.command import INTERRUPTED, TERMINATED
from core.compute.interrupt import Interrupted
from core.record import Record
from experiments.check_data import check_data
from experiments.data_facts import KnownData
from experiments.jobs import Job, collect, list_jobs, longest_first, waiting
from experiments.params import Params
from experiments.progress import Progress
from experiments.provenance import provenance
from experiments.results import write_results
from experiments.results_files import RESULTS
from experiments.search_file import Search
from experiments.stopped_early import is_stopped_early
from experiments.store import STORE, Store
from experiments.study import Study
from experiments.sweep import Observer, run_one_by_one
from experiments.tracking.log import END_SECONDS, INTERRUPTED_SECONDS, Tracking

FAILED = 1  # exit status


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
    if search is not None and not arguments.fresh:
        to_run = [job for job in to_run if not is_stopped_early(store.failed(job.key))]
    distinct = len({job.key for job in jobs})
    shared = f" ({len(jobs)} in the studies, which share some)" if distinct < len(jobs) else ""
    print(f"{distinct} trials{shared}, {distinct - len(to_run)} already finished, {len(to_run)} to run", flush=True)
    for trial, reason in (trial_and_reason for study in studies for trial_and_reason in study.left_out):
        print(f"{trial.study}: {trial.name}: {reason}")
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
        progress = Progress(to_run, 1 if arguments.in_process else params.resources.parallel_trials)
        observers: list[Observer] = [progress, tracking]
        try:
            if arguments.in_process:
                run_one_by_one(to_run, store, params.resources, observers)
            else:
                from experiments.parallel.sweep import run_with_ray  # takes seconds: only if there are trials to run

                scheduler = None
                if search is not None and search.halving is not None:
                    from experiments.parallel.tuning import EarlyStopping

                    scheduler = EarlyStopping(search.halving, search.metric)
                run_with_ray(to_run, store, params.resources, observers, progress, scheduler)
        except Exception:  # the machine cannot run the trials, or Ray fails to start
            tracking.finish({}, seconds=INTERRUPTED_SECONDS)
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
        if arguments.train_only and search is None:  # DVC does not run a stage again that has ended well
            command = f"`python -m experiments.run {' '.join(jobs_of)} --train-only`"
        kept = "results are written" if len(written) == len(studies) else "the store has every trial that ended"
        print(f"warning: {tracking.problem}; {kept}, and {command} sends the rest to MLflow", file=sys.stderr)
    return report_interrupt(interrupt, jobs, store) if status == INTERRUPTED else status


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
