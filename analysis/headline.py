"""The few numbers that DVC shows by default: `python -m analysis.headline` writes `results/metrics.json`.

They are the mask AP of each arm of the set's first study, shown by `dvc metrics show` and as columns of `dvc exp show`.
`results/metrics/<study>.json` has all arms of a study: `dvc metrics diff --targets results/metrics/*.json`.
"""

import argparse
import json
import sys
from pathlib import Path

from analysis.study import add_choice, chosen_studies
from core.compute.command import run_command
from core.files.atomic import write_text
from core.files.json_file import parse_json, read_utf8


def headline(metrics: Path, study: str) -> str:
    """The mask AP of each arm of a study, as JSON under the study's name.

    Raises:
        ValueError: if `metrics` has no file for the study, or it is damaged.
    """
    path = metrics / f"{study}.json"
    if not path.exists():
        raise ValueError(f"{path}: no such file; `python -m analysis.report` writes it")
    arms = parse_json(read_utf8(path), path)
    try:
        shown = {arm: numbers["mask_AP"] for arm, numbers in arms.items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: expected mask_AP by arm, found {arms!r:.60}") from error
    return json.dumps({study: shown}, indent=1) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.headline", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="output folder of the pipeline")
    add_choice(parser)
    options = parser.parse_args(arguments)

    def work() -> None:
        studies = chosen_studies(options)
        if not studies:
            raise ValueError("expected --params or --studies, whose first study is shown")
        write_text(options.results / "metrics.json", headline(options.results / "metrics", studies[0]))
        print(f"Written: {options.results / 'metrics.json'}")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
