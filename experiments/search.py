"""Search for good settings: `python -m experiments.search color_search`. Nothing of it enters a table of a study.

Draws trials from the space of `experiments/searches/<name>.yaml`, on the recipe and the data of params.yaml, and trains
each once, with the first seed. The same file draws the same trials; which of them are stopped early also depends on
how fast they run. Trials are kept in the store: the same command trains those that are missing.

Writes to results/<name>/ the trials (search.csv, search.md), and the winner as a recipe, <name>.yaml:
`python -m core.train --recipe results/<name>/<name>.yaml --data-root ...`. It is the best on the validation images, and
so by luck too: compare it with others on new seeds, by a study, or on other images.

Exit status: as of experiments.run.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.compute.command import run_command
from core.config.dotted import leaves, nested
from core.config.file import build_config, merge, nearest, read_yaml, validated
from core.config.names import checked_study
from experiments.params import Params, load_params
from experiments.recipe import base_settings
from experiments.results_files import RESULTS
from experiments.search_file import Search, SearchFile
from experiments.store import STORE, Store
from experiments.study import STUDIES, Study, Trial, value_of

SEARCHES = Path(__file__).parent / "searches"


@dataclass(frozen=True)
class SearchStudy:
    """A search, and its trials as a study with an arm for each."""

    search: Search
    study: Study
    recipe: str  # on which the trials are based


def load_search(name: str, params: Params, source: str, folder: Path = SEARCHES) -> SearchStudy:
    """Draw the trials of the search file `name` over the settings of the params; `source` names these in errors.

    Raises:
        ValueError: for a name that cannot be one, a missing file, an unknown key or field (suggests the nearest one), a
            value out of range, or early stopping without evaluations to judge by.
    """
    from experiments.parallel.tuning import draw  # loads Ray, which takes seconds

    path = folder / f"{checked_study(name)}.yaml"
    if not path.exists():
        known = sorted(file.stem for file in folder.glob("*.yaml"))
        raise ValueError(f"search '{name}': no file {path}{nearest(name, known)}")
    if (STUDIES / path.name).exists():
        raise ValueError(f"{path}: there is a study of this name, whose results would be in the same place")
    file = validated(SearchFile, read_yaml(path), str(path))
    search = file.search
    _check_fields(file, path)
    base = merge(base_settings(params, source), nested(file.settings))
    trials = []
    for number, point in enumerate(draw(search.space, search.trials, search.seed)):
        arm = f"trial-{number:03}"
        config = build_config(merge(base, nested(point)), f"{path}: {arm}: {_as_text(point)}")
        if search.halving is not None and config.training.evaluate_every is None:
            raise ValueError(
                f"{path}: halving stops trials by their evaluations, but training.evaluate_every is null: only the "
                "last epoch has one; set it under settings"
            )
        values = {field: value_of(config, field) for field in point}
        trials.append(Trial(name, arm, params.seeds[0], config, values))
    study = Study(
        name,
        file.question,
        source="none",
        expectation="none",
        reference_arm=None,
        arms=tuple(trial.arm for trial in trials),
        varied=tuple(search.space),
        seeds=params.seeds[:1],
        trials=tuple(trials),
    )
    return SearchStudy(search, study, params.recipe)


def _check_fields(file: SearchFile, path: Path) -> None:
    """Refuse the path of the data, and a setting that is both fixed and drawn."""
    fixed = leaves(nested(file.settings))
    for field in ("data.root", *file.search.space):
        drawn, given = field in file.search.space, field in fixed
        if field == "data.root" and (drawn or given):
            raise ValueError(f"{path}: a search cannot set data.root: the data of a set is in datasets/<set>")
        if drawn and given:
            raise ValueError(f"{path}: {field} is under settings and in the space, expected one of them")


def _as_text(point: dict[str, Any]) -> str:
    return ", ".join(f"{field}={value}" for field, value in point.items())


def run_search(found: SearchStudy, params: Params, *, fresh: bool) -> int:
    """Train the trials that are missing, and write what was found; returns the exit status.

    Raises:
        ValueError: if the data is missing or wrong, or no trial ended.
    """
    from experiments.data_facts import KnownData  # these load torch and MLflow, which takes seconds
    from experiments.jobs import collect, list_jobs
    from experiments.provenance import provenance
    from experiments.run_studies import run_studies
    from experiments.search_results import write_search

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
