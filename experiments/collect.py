"""Collect a study's results from the store: `python -m experiments.collect loss_terms`. DVC's stages `study@...`.

Trials that the store lacks, and those that failed, are run first, as by `experiments.run`. A study that is not part of
the set leaves a table without a row.

Exit status: 0 all trials finished, 1 some failed (0 with `allow_holes`), 2 an input is wrong, 130 interrupted.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from experiments.params import Params, load_params
from experiments.recipe import base_settings
from experiments.results import RESULTS, write_no_results


def collect_study(name: str, params: Params, params_path: Path) -> int:
    """Write the results of a study of the set; returns the exit status.

    Raises:
        ValueError: if an input is wrong.
    """
    from experiments import run  # takes seconds, and only where there is something to collect
    from experiments.provenance import provenance
    from experiments.store import STORE, Store
    from experiments.study import load_study
    from experiments.sweep import collect, list_jobs

    settings_of = partial(base_settings, params, str(params_path))
    study = load_study(name, settings_of(), params.seeds, recipe_settings=settings_of)
    store, jobs = Store(STORE), list_jobs(study, provenance())
    records = collect(jobs, store)
    if any(job.key not in records or records[job.key].status != "ok" for job in jobs):
        return run.main(["--study", name, "--params", str(params_path)])
    run.write_study(study, jobs, records, store)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.collect", description="Write a study's results from the trials in the store."
    )
    parser.add_argument("study", help="a file of experiments/studies, without its ending")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args(words)
    try:
        params = load_params(arguments.params)
        if arguments.study in params.studies:
            return collect_study(arguments.study, params, arguments.params)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    path = write_no_results(arguments.study, RESULTS)
    print(f"{path}: not part of set '{params.set}'")
    return 0


if __name__ == "__main__":
    sys.exit(main())
