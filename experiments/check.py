"""Check params.yaml, its set, recipe and studies: `python -m experiments.check`. Quick: loads neither torch nor Ray."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from core.compute.command import run_command
from core.config import Config
from experiments.params import load_params
from experiments.settings import load_studies
from experiments.study import missing_masks


def check_folder(config: Config) -> None:
    root = Path(config.data.root)
    if not root.is_dir():
        raise ValueError(
            f"data.root '{root}': no such folder; expected {config.data.train_annotations}, "
            f"{config.data.val_annotations} and their images there (`dvc repro data.dvc` creates datasets/shapes)"
        )
    if reason := missing_masks(config):
        raise ValueError(
            f"supervision.pseudo_masks: {reason}; expected {config.data.train_annotations} with a mask for each box, "
            "such as annotations.json of `python -m core.annotate --boxes`"
        )


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0 if params, recipe, studies and data folder are valid; else 2 and one line about the problem."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.check",
        description="Check params.yaml, its set, recipe and studies, and that the data folder exists.",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="file to check (default: %(default)s)")
    arguments = parser.parse_args(words)

    def work() -> None:
        params = load_params(arguments.params)
        for study in load_studies(params.studies, params, str(arguments.params)):
            for trial in study.trials:
                check_folder(trial.config)
            for trial, reason in study.left_out:
                print(f"{study.name}: {trial.name}: {reason}")

    return run_command(work)


if __name__ == "__main__":
    sys.exit(main())
