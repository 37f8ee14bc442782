"""The command `boxinst`: one name for the commands of the library, from any folder."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from core.compute.command import WRONG_INPUT, run_command

COMMANDS = {  # name: the module whose `main` takes over, what it does
    "train": ("core.train", "train a recipe on a data set of boxes, or go on where a training stopped"),
    "convert": (
        "core.datasets.convert.__main__",
        "make a data set of labels in YOLO, VOC, labelme, CVAT and other formats",
    ),
    "check": ("core.datasets.check.__main__", "check a data set before training on it"),
    "annotate": (
        "core.annotate.__main__",
        "masks for photos or for given boxes, as a COCO file and as pictures",
    ),
    "evaluate": ("core.evaluation.__main__", "box AP and mask AP of a trained network on a data set"),
    "mask-iou": ("core.evaluation.mask_iou", "how well the masks of a file agree with true masks of the same objects"),
    "download": ("core.datasets.download", "fetch a public data set, or ImageNet weights"),
}
STUDY = "experiments.run"
SUITE = ("ray", "mlflow", "dvc")  # what studies need beyond the library


def usage() -> str:
    listed = [(name, what) for name, (_, what) in COMMANDS.items()]
    listed.append(("study", "train the arms of a study and compare them; in a clone of the project, with its suite"))
    return "\n".join(
        [
            "usage: boxinst COMMAND [OPTION ...]",
            "",
            "Instance segmentation learned from boxes.",
            "",
            *(f"  {name:<10}{what}" for name, what in listed),
            "",
            "`boxinst COMMAND --help` shows the options of a command.",
        ]
    )


def study(arguments: Sequence[str]) -> NoReturn:
    """Become `python -m experiments.run` in the current folder, a clone of the project.

    Raises:
        ValueError: if it is none, or the packages of the suite are missing; says how to get them.
    """
    if not Path(*STUDY.split(".")).with_suffix(".py").is_file():
        found = f"{Path.cwd()} is no clone of the project: it has no experiments/run.py"
        raise ValueError(f"study: {found}; clone it, go there, and `pip install -e '.[suite]'`")
    if missing := [package for package in SUITE if find_spec(package) is None]:
        raise ValueError(f"study: {', '.join(missing)} not installed; `pip install -e '.[suite]'` here")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", STUDY, *arguments])


def main(arguments: Sequence[str] | None = None) -> int:
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or [""]
    if command in ("-h", "--help"):
        print(usage())
        return 0
    if command == "study":
        return run_command(partial(study, rest))
    if command not in COMMANDS:
        print(f"error: no command '{command}'\n\n{usage()}" if command else usage(), file=sys.stderr)
        return WRONG_INPUT
    return import_module(COMMANDS[command][0]).main(rest)


if __name__ == "__main__":
    sys.exit(main())
