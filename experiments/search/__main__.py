"""Search for good settings: `python -m experiments.search color_search`. Nothing of it enters a table of a study.

Draws trials from the space of `experiments/searches/<name>.yaml`, on the recipe and the data of params.yaml, and trains
each once, with the first seed. The same file draws the same trials; which of them are stopped early also depends on
how fast they run. Trials are kept in the store: the same command trains those that are missing.

Writes to results/<name>/ the trials (search.csv, search.md), and the winner as a recipe, <name>.yaml:
`python -m core.train --recipe results/<name>/<name>.yaml --data-root ...`. It is the best on the images that
the set names under `choose_on` (without it: on those that studies report), and so by luck too: compare it with others
on new seeds, by a study, or on other images.

Exit status: as of experiments.run.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.compute.command import run_command
from experiments.params import Params, load_params
from experiments.results.files import RESULTS
from experiments.search.drawn import SearchStudy, load_search
from experiments.store import STORE, Store


def run_search(found: SearchStudy, params: Params, *, fresh: bool) -> int:
    """Train the trials that are missing, and write what was found; returns the exit status.

    Raises:
        ValueError: if the data is missing or wrong, or no trial ended.
    """
    from experiments.jobs import collect, list_jobs  # these load torch and MLflow, which takes seconds
    from experiments.planning.data_facts import KnownData
    from experiments.provenance import provenance
    from experiments.run_studies import run_studies
    from experiments.search.results import write_search

    flags = argparse.Namespace(fresh=fresh, allow_holes=True, in_process=False, train_only=True)
    status = run_studies([found.study], params, flags, found.search)
    if status:
        return status
    jobs = list_jobs(found.study, provenance(), params.resources.workers, KnownData())
    records = collect(jobs, Store(STORE))
    if any(job.key not in records for job in jobs):
        raise ValueError("code that trainings use was changed during the search; run the same command again")
    write_search(found, jobs, records, RESULTS)
    return 0


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.search",
        description="Search for good settings at random; the winner becomes a recipe.",
    )
    parser.add_argument("name", metavar="SEARCH", help="name of a file in experiments/searches, without .yaml")
    parser.add_argument("--fresh", action="store_true", help="run every trial again, even if the store has it")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: %(default)s")
    arguments = parser.parse_args(words)

    def work() -> int:
        params = load_params(arguments.params)
        found = load_search(arguments.name, params, str(arguments.params))
        return run_search(found, params, fresh=arguments.fresh)

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
