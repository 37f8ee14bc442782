"""Check params.yaml, its set, recipe and studies in a moment: `python -m experiments.check`. Loads no torch or Ray."""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core.config import Config
from experiments.params import load_params
from experiments.recipe import base_settings
from experiments.study import load_study


def check_folder(config: Config) -> None:
    root = Path(config.data.root)
    if not root.is_dir():
        raise ValueError(
            f"data.root '{root}': no such folder; expected {config.data.train_annotations}, "
            f"{config.data.val_annotations} and their images in it (`dvc repro data.dvc` makes datasets/shapes)"
        )


def main(words: Sequence[str] | None = None) -> int:
    """Exit status 0 if params, recipe, studies and data folder are sound, else 2 and one line that says what is not."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.check",
        description="Check params.yaml, its set, recipe and studies, and that the data is there.",
    )
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args(words)
    try:
        params = load_params(arguments.params)
        settings_of = partial(base_settings, params, str(arguments.params))
        for name in params.studies:
            for trial in load_study(name, settings_of(), params.seeds, recipe_settings=settings_of).trials:
                check_folder(trial.config)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
