"""Collect a study's results from the store: `python -m experiments.collect loss_terms`. DVC's stages `study@...`.

It first runs the trials that are missing from the store or failed, as `experiments.run` does. For a study outside the
set it writes a table without rows.

Exit status: 0 all trials finished, 1 some failed (0 with `allow_holes`), 2 wrong input, 130 interrupted.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from core.compute.command import leave, run_command
from core.config.names import checked_study
from experiments.params import Params, load_params
from experiments.results.files import RESULTS, write_no_results
from experiments.settings import load_studies


def collect_study(name: str, params: Params, params_path: Path) -> int:
    """Write the results of a study of the set; returns the exit status.

    Raises:
        ValueError: for wrong input.
    """
    from experiments import run  # these import torch, which takes seconds: only if there is something to collect
    from experiments.conduct import write_study
    from experiments.jobs import collect, list_jobs
    from experiments.provenance import provenance
    from experiments.store import STORE, Store

    (study,) = load_studies([name], params, str(params_path))
    store, jobs = Store(STORE), list_jobs(study, provenance(), params.resources.workers)
    records = collect(jobs, store)
    if any(job.key not in records or records[job.key].status != "ok" for job in jobs):
        return run.main(["--study", name, "--params", str(params_path)])
    write_study(study, jobs, records, store)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.collect", description="Write the results of a study from the trials in the store."
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", metavar="STUDY", help="name of a file in experiments/studies, without .yaml")
    which.add_argument("--study", help="the same, as DVC passes it")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: %(default)s")
    arguments = parser.parse_args(words)

    def work() -> int:
        study = checked_study(arguments.study if arguments.name is None else arguments.name)
        params = load_params(arguments.params)
        if study in params.studies:
            return collect_study(study, params, arguments.params)
        path = write_no_results(study, RESULTS)
        print(f"{path}: not part of set '{params.set}'")
        return 0

    return run_command(work)


if __name__ == "__main__":
    leave(main())
