"""The plots and tables of the set's studies, for their runs in MLflow: `python -m experiments.tracking.attach`.

The last command of DVC's stage `page`, after which they exist: the sweep logs numbers, and knows no plot. Nothing in
MLflow fails a stage: what cannot be sent is a warning, and the same command sends it.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from core.compute.command import run_command
from core.record import read_record
from experiments.params import Params, load_params
from experiments.results.files import RESULTS
from experiments.tracking.background import Background

FILES = (  # of a study, in the folder of the results; names in MLflow are those of the files
    "plots/{study}.png",
    "plots/{study}_pictures.png",
    "plots/{study}_sizes.png",
    "plots/{study}_ious.png",
    "plots/{study}_curves.png",
    "tables/{study}.md",
    "tables/{study}.csv",
)
SECONDS = 120.0  # for all studies


def run_ids(results: Path, study: str) -> list[str]:
    """The MLflow runs of a study's trials, as their records name them.

    Raises:
        ValueError: if a record cannot be read; names it.
    """
    records = [read_record(path) for path in sorted((results / study / "trials").glob("*.json"))]
    return [record.mlflow_run_id for record in records if record.mlflow_run_id is not None]


def files_of(results: Path, study: str) -> list[Path]:
    """The plots and tables of a study that exist."""
    return [path for name in FILES if (path := results / name.format(study=study)).is_file()]


def attach(params: Params, results: Path, folder: Path) -> Iterator[str]:
    """Send the files of each study to the run of its sweep; a line for each of them.

    Studies without a run of this project are left out: results may come from somebody else, with runs elsewhere.

    Raises:
        UNREACHABLE, ValueError: if MLflow does not respond, or a record cannot be read.
    """
    found = {study: ids for study in params.studies if (ids := run_ids(results, study))}
    if not found:
        return
    from experiments.tracking.server import connect  # loads MLflow, which takes seconds

    server = connect(folder)
    try:
        for study, ids in found.items():
            parent = server.parent_of(ids)
            for file in files_of(results, study) if parent is not None else []:
                server.client.log_artifact(parent, str(file))
                yield f"{file}: in MLflow, run {parent}"
    finally:
        server.close()


def warning_of(work: Callable[[], None]) -> str | None:
    """Why the work was not done, whatever the reason is; None if it was done in time."""
    try:
        Background(1, lambda: None).ask(work, SECONDS)
    except Exception as error:
        from experiments.tracking.log import in_a_line

        return in_a_line(error)
    return None


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0, also if MLflow cannot be reached; 2 for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.tracking.attach", description="Attach plots and tables to the studies' MLflow runs."
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: %(default)s")
    parser.add_argument("--results", type=Path, default=RESULTS, help="with plots/ and tables/ (default: %(default)s)")
    options = parser.parse_args(words)

    def send(params: Params) -> None:
        lines = [*attach(params, options.results, Path.cwd())]
        print("\n".join(lines) or "nothing to attach: no trial of these results has a run in this MLflow")

    def work() -> None:
        params = load_params(options.params)
        if reason := warning_of(partial(send, params)):
            print(f"warning: MLflow lacks plots and tables ({reason}); the same command sends them", file=sys.stderr)

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
