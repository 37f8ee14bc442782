"""The few numbers that DVC shows by default: `python -m analysis.headline` writes `results/metrics.json`.

They are the mask AP of each arm of the set's first study, shown by `dvc metrics show` and as columns of `dvc exp show`.
`results/metrics/<study>.json` has all arms of a study: `dvc metrics diff --targets results/metrics/*.json`.
"""

import argparse
import json
import sys
from pathlib import Path

from analysis.study import add_choice, chosen_studies
from core.files.atomic import write_text


def headline(metrics: Path, study: str) -> str:
    """The mask AP of each arm of a study, as JSON under the study's name.

    Raises:
        ValueError: if `metrics` has no file for the study.
    """
    path = metrics / f"{study}.json"
    if not path.exists():
        raise ValueError(f"{path}: no such file; `python -m analysis.report` writes it")
    arms = json.loads(path.read_text())
    return json.dumps({study: {arm: numbers["mask_AP"] for arm, numbers in arms.items()}}, indent=1) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m analysis.headline", description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("results"), help="output folder of the pipeline")
    add_choice(parser)
    options = parser.parse_args(arguments)
    try:
        studies = chosen_studies(options)
        if not studies:
            raise ValueError("expected --params or --studies, whose first study is shown")
        write_text(options.results / "metrics.json", headline(options.results / "metrics", studies[0]))
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"Written: {options.results / 'metrics.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
