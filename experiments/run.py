"""Run studies: `python -m experiments.run loss_terms`.

Trials that the store holds are not run again. A trial that was stopped goes on from its checkpoint, so the same
command takes up an interrupted sweep. `RAY_ADDRESS` joins a cluster whose nodes share this folder.
DVC's stage `sweep` is `--all --train-only`: it fills the store, from which `experiments.collect` takes each study.

Exit status: 0 all trials finished, 1 some failed, 2 an input is wrong, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core.record import Record
from experiments.params import SETS, Params, load_params
from experiments.plan import TERAFLOPS, print_plan
from experiments.progress import Progress
from experiments.provenance import provenance, trial_sources
from experiments.recipe import base_settings
from experiments.results import RESULTS, write_results
from experiments.store import STORE, Store
from experiments.study import Study, load_study
from experiments.sweep import (
    Job,
    Observer,
    check_data,
    collect,
    list_jobs,
    longest_first,
    run_one_by_one,
    waiting,
)
from experiments.tracking.log import Tracking

FAILED, INTERRUPTED = 1, 130  # exit status


def run_studies(studies: Sequence[Study], params: Params, arguments: argparse.Namespace) -> int:
    """Run what is missing of the studies, log it, and write their results; returns the exit status.

    With `train_only` no results are written, and a trial that failed is no failure of the sweep: collecting its study
    tries it once more.
    """
    made_from = provenance()
    store = Store(STORE)
    jobs_of = {study.name: list_jobs(study, made_from) for study in studies}
    jobs = [job for of_study in jobs_of.values() for job in of_study]
    to_run = longest_first(waiting(jobs, store, fresh=arguments.fresh))
    distinct = len({job.key for job in jobs})
    shared = f" ({len(jobs)} in the studies, which share some)" if distinct < len(jobs) else ""
    print(f"{distinct} trials{shared}, {distinct - len(to_run)} finished before, {len(to_run)} to run", flush=True)
    check_data(to_run, allow_holes=arguments.allow_holes or params.allow_holes)
    tracking = [Tracking(study, jobs_of[study.name], store, Path.cwd()) for study in studies]
    for job in to_run:  # now: what could stop the sweep before a trial starts has been checked
        store.forget_failure(job.key)  # of a sweep before this one: whether it still fails is to be seen
        if arguments.fresh:
            with store.lock(job.key):
                store.forget(job.key)
    if to_run:
        progress = Progress(to_run, 1 if arguments.in_process else params.resources.parallel_trials)
        observers: list[Observer] = [progress, *tracking]
        try:
            if arguments.in_process:
                run_one_by_one(to_run, store, params.resources, observers)
            else:
                from experiments.ray_sweep import run_with_ray  # takes seconds, and only where something is to run

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
        store.keep_run_ids(study.name, log.complete(records))
        log.close(records)
        ended = report_failures(study, jobs_of[study.name], records)
        if ended != INTERRUPTED and not arguments.train_only:
            write_study(study, jobs_of[study.name], records, store)
        if ended == FAILED and (arguments.train_only or arguments.allow_holes or params.allow_holes):
            ended = 0
        status = max(status, ended)
    return status


def inputs(params: Path) -> dict[Path, bytes]:
    """The files that say what is run, as they are now: DVC notes them as they are when a stage ends."""
    folder = Path(__file__).parent
    files = [path for kind in ("studies", "recipes", "sets") for path in sorted(folder.glob(f"{kind}/*.yaml"))]
    paths = [params, *sorted((params.parent / SETS).glob("*.yaml")), *files, *trial_sources()]
    return {path: path.read_bytes() for path in paths if path.is_file()}


def report_failures(study: Study, jobs: Sequence[Job], records: dict[str, Record]) -> int:
    """Print which trials have not ended and which failed; returns the exit status that this means."""
    missing = [job for job in jobs if job.key not in records]
    if missing:
        print(
            f"interrupted: {study.name}: {len(missing)} of {len(jobs)} trials have not ended; "
            "the same command, without --fresh, goes on from there",
            file=sys.stderr,
        )
        return INTERRUPTED
    failed = [job for job in jobs if records[job.key].status != "ok"]
    for job in failed:
        print(f"failed: {study.name}: {job.trial.name}: {records[job.key].reason}", file=sys.stderr)
    return FAILED if failed else 0


def write_study(study: Study, jobs: Sequence[Job], records: dict[str, Record], store: Store) -> None:
    """Write the results of a study all of whose trials have ended; each number leads to its MLflow run."""
    run_ids = store.run_ids(study.name)
    records = {key: record.changed(mlflow_run_id=run_ids.get(key)) for key, record in records.items()}
    path = write_results(study, jobs, records, store, RESULTS)
    print(f"{path}: {sum(records[job.key].status == 'ok' for job in jobs)} of {len(jobs)} trials")


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.run", description="Run the trials of studies.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("studies", nargs="*", default=(), metavar="STUDY", help="several in one sweep, as --study")
    which.add_argument("--study", help="one file of experiments/studies, without its ending")
    which.add_argument("--all", action="store_true", help="all studies of the set, their trials in one sweep")
    parser.add_argument("--fresh", action="store_true", help="run every trial again, whatever the store holds")
    parser.add_argument("--train-only", action="store_true", help="fill the store; experiments.collect writes results")
    parser.add_argument("--allow-holes", action="store_true", help="exit with 0 although trials failed")
    parser.add_argument("--in-process", action="store_true", help="without Ray, one trial after the other")
    parser.add_argument("--dry-run", action="store_true", help="only print what the studies take and would run")
    of_hours = "TFLOP/s that a device sustains, for the hours of a dry run (%(default)g: an assumption)"
    parser.add_argument("--teraflops", type=float, default=TERAFLOPS, help=of_hours)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args(words)
    try:
        before = inputs(arguments.params)
        params = load_params(arguments.params)
        settings_of = partial(base_settings, params, str(arguments.params))
        names = params.studies if arguments.all else arguments.studies or (arguments.study,)
        studies = [load_study(name, settings_of(), params.seeds, recipe_settings=settings_of) for name in names]
        if arguments.dry_run:
            print_plan(studies, Store(STORE), teraflops=arguments.teraflops, fresh=arguments.fresh)
            return 0
        status = run_studies(studies, params, arguments)
        after = inputs(arguments.params)
        if edited := [str(path) for path in before | after if before.get(path) != after.get(path)]:
            print(f"edited while it ran: {', '.join(edited)}: results are of before, run it again", file=sys.stderr)
            return max(status, 1)
        return status
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
