"""Check a data set before training on it: `python -m core.datasets.check DIR`.

Prints the content of each annotation file and all problems found, of which each ends in exit status 1 (what is one is
in `core.datasets.check.problems`). Without problems, it says which training the data asks for, with its command, and
what it will cost on this machine. A picture, `check.jpg` in the current folder, shows some photos as the network sees
them.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from core.compute.command import run_command
from core.config import Config
from core.config.file import build_config
from core.config.recipe import load_recipe
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.contact_sheet import choose_tiles, write_sheet
from core.datasets.check.expected_cost import ExpectedCost, expected_cost
from core.datasets.check.problems import (
    notes,
    pair_problems,
    silent_problems,
    suspects,
    training_problems,
    validation_problems,
)
from core.datasets.check.training_plan import Measure, TrainingPlan, plan_training
from core.datasets.foreign_masks import check_foreign_masks
from core.datasets.layout import NAMES, Layout, find_layout
from core.datasets.summary import summary
from core.datasets.view_sizes import seen_line

MAX_PROBLEMS_PRINTED = 20
SHEET = "check.jpg"


def check(
    root: Path,
    layout: Layout,
    recipe: str,
    *,
    sheet: Path | None = None,
    measure: Measure | None = None,
    threads: int | None = None,
) -> int:
    """Print the content and the problems of a data set, or the training to do; returns 1 if there are problems, else 0.

    The image sizes of `recipe` say which boxes are small; a file of masks that it names is checked, too. `sheet` is
    the picture to write, `measure` says what a training costs (`plan_training`), and `threads` are those of the
    training.
    """
    config = build_config(load_recipe(recipe), f"recipe {recipe}")
    files, problems = checked_files(root, layout, config, recipe)
    plan = None
    if len(files) == 2:
        train, val = files
        problems += pair_problems(train, val)
        wrong, of_masks = check_foreign_masks(root, train, config.supervision)
        problems += wrong
        for note in [] if problems else [*of_masks, *notes(train, val, config.data, recipe)]:
            print(f"note: {note}")
    for problem in problems[:MAX_PROBLEMS_PRINTED]:
        print(f"problem: {problem}")
    shown = f", the first {MAX_PROBLEMS_PRINTED} above" if len(problems) > MAX_PROBLEMS_PRINTED else ""
    print(f"{len(problems)} problem(s){shown}" if problems else "no problems")
    if not problems:
        plan = plan_training(files[0], config, root, layout, recipe=recipe, measure=measure, threads=threads)
        print("\n".join(["", *plan.lines]))
    if sheet is not None and files:
        print_sheet(sheet, root, files, plan, config)
    if plan:
        print(f"train:\n  {plan.command}")
    return 1 if problems else 0


def checked_files(root: Path, layout: Layout, config: Config, recipe: str) -> tuple[list[AnnotationFile], list[str]]:
    """The annotation files that can be read, after their content is printed, and the problems of each."""
    files, problems = [], []
    splits = [(layout.train_annotations, layout.train_images, training_problems)]
    if (root / layout.val_annotations).exists():
        splits.append((layout.val_annotations, layout.val_images, validation_problems))
    else:
        problems.append(missing_validation(root, layout))
    for annotations, folder, problems_of in splits:
        try:
            file = AnnotationFile.read(root / annotations, root / folder)
        except ValueError as error:
            problems.append(str(error))
            continue
        files.append(file)
        print("\n".join([*summary(file, config.data.crowds), seen_line(file.images, config.data, recipe)]))
        found = problems_of(file, progress=sys.stderr.isatty()) + silent_problems(file)
        problems += [f"{file.path}: {problem}" for problem in found]
    return files, problems


def missing_validation(root: Path, layout: Layout) -> str:
    """What to say where a data set has no photos to validate on: how to draw some."""
    source = root.resolve() if root.name in ("", "..") else root
    names = shlex.join([str(source), f"{source}-split"])
    need = "a training is measured on photos that it does not learn from"
    draw = f"python -m core.datasets.convert {names} --val-share 0.2"
    return f"{root / layout.val_annotations}: no such file; {need}. To draw them, into a new folder:\n  {draw}"


def print_sheet(
    sheet: Path, root: Path, files: Sequence[AnnotationFile], plan: TrainingPlan | None, config: Config
) -> None:
    """Write the contact sheet and say so, or why not: without it, the check is as good."""
    data = plan.data if plan else config.data
    try:
        tiles = choose_tiles(files, [(file, finding) for file in files for finding in suspects(file, data)])
        write_sheet(sheet, root, tiles, data)
    except (ValueError, OSError) as error:
        print(f"note: no contact sheet: {error}")
        return
    suspicious = sum(bool(tile.flaw) for tile in tiles)
    first = f", the first {suspicious} for the reason in red" if suspicious else ""
    print(f"look at {sheet}: {len(tiles)} photos as the network sees them{first}")


def announced_cost(options: list[str], *, threads: int | None) -> ExpectedCost | None:
    """`expected_cost`, announced, since it takes a while."""
    print("measuring some training steps, which takes about 20 seconds ...", file=sys.stderr)
    return expected_cost(options, threads)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.datasets.check",
        description="Check a COCO-format data set: print its content and all problems, or the training to do. "
        "Annotations may lack `segmentation`: boxes suffice for training, masks are needed for mask AP. "
        "Files and folders are found where they have the names of the recipe or other usual ones.",
    )
    parser.add_argument("folder", nargs="?", type=Path, help="folder of the data set")
    parser.add_argument("--root", type=Path, help="the same, by another name")
    parser.add_argument("--recipe", default="own", help="recipe to train (default: own)")
    for name, what in zip(NAMES, ("COCO file to train on", "folder of its photos") * 2, strict=True):
        what = what.replace("train", "validate") if name.startswith("val") else what
        parser.add_argument(f"--{name.replace('_', '-')}", help=f"{what}, relative to the folder (default: found)")
    parser.add_argument("--sheet", default=SHEET, help=f"picture to write, or none (default: {SHEET} in this folder)")
    parser.add_argument("--threads", type=int, help="CPU threads of the training (default: torch's choice)")
    parser.add_argument("--no-timing", action="store_true", help="measure no training steps, and name no cost")
    options = parser.parse_args(arguments)
    if (options.folder is None) == (options.root is None):
        parser.error("expected one folder, such as datasets/own")
    return run_command(partial(run, options))


def run(options: argparse.Namespace) -> int:
    root = options.folder if options.folder is not None else options.root
    data = build_config(load_recipe(options.recipe), f"recipe {options.recipe}").data
    layout = find_layout(root, data, {name: getattr(options, name) for name in NAMES})
    sheet = None if options.sheet == "none" else Path(options.sheet)
    measure = None if options.no_timing else partial(announced_cost, threads=options.threads)
    return check(root, layout, options.recipe, sheet=sheet, measure=measure, threads=options.threads)


if __name__ == "__main__":
    sys.exit(main())
