"""Check a data set before training on it: `python -m core.datasets.check --root DIR`.

Prints the content of each annotation file and all problems found; exits with status 1 if there are any. A data set
without problems can be trained on and evaluated.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tqdm import tqdm

from core.compute.command import run_command
from core.config import DataConfig
from core.config.file import build_config
from core.config.recipe import load_recipe
from core.datasets.annotation_checks import evaluation_problems
from core.datasets.annotation_file import AnnotationFile
from core.datasets.image_checks import is_missing
from core.datasets.photo import open_rgb
from core.datasets.small_boxes import too_small
from core.datasets.summary import num_masks, summary

MAX_PROBLEMS_PRINTED = 20


def split_problems(file: AnnotationFile, progress: bool = False) -> list[str]:
    """Problems of a split: of its annotation file, all masks, and all images, which are decoded."""
    problems = file.problems + file.mask_problems(file.images)
    for record in tqdm(file.images, desc=file.path.name, unit="image", disable=not progress, leave=False):
        path = file.image_folder / record.file_name
        if not is_missing(path):
            try:
                open_rgb(path, record.width, record.height)
            except ValueError as error:
                problems.append(str(error))
    return problems


def training_problems(file: AnnotationFile, progress: bool = False) -> list[str]:
    """Problems of a split to train on."""
    lack = None if file.problems else file.nothing_to_learn()
    return split_problems(file, progress) + ([lack] if lack else [])


def validation_problems(file: AnnotationFile, progress: bool = False) -> list[str]:
    """Problems of a split to evaluate on, which reads areas and crowds, too."""
    problems = split_problems(file, progress)
    if file.problems:
        return problems
    if not file.images:
        return [*problems, "0 images, expected at least one"]
    return list(dict.fromkeys(problems + evaluation_problems(file.content)))


def pair_problems(train: AnnotationFile, val: AnnotationFile) -> list[str]:
    """Problems between the splits: different classes, shared images."""
    problems = []
    if train.categories != val.categories:
        found, expected = (dict(zip(f.category_ids, f.categories, strict=True)) for f in (val, train))
        problems.append(f"{val.path}: categories are {found}, expected those of {train.path}: {expected}")
    shared = {record.file_name for record in train.images} & {record.file_name for record in val.images}
    if shared and train.image_folder == val.image_folder:
        problems.append(f"{len(shared)} images are in both splits, such as {min(shared)}; expected none")
    return problems


def notes(train: AnnotationFile, val: AnnotationFile, data: DataConfig, recipe: str) -> list[str]:
    """What hinders no training of boxes, but should be known before it."""
    found = []
    if small := too_small(train.images, data):
        found.append(f"{train.path}: with the recipe {recipe}, {small}")
    for file, need in (
        (train, "boxes suffice, but the arm `full` of a study learns from masks"),
        (val, "box AP is measured, but mask AP, and so a study, needs them"),
    ):
        count, with_mask = sum(len(record.labels) for record in file.images), sum(map(num_masks, file.images))
        if with_mask < count:
            found.append(f"{file.path}: {count - with_mask} of {count} instances have no mask; {need}")
    if not any(len(record.labels) for record in val.images):
        found.append(f"{val.path}: no instance, so that no AP can be measured")
    return found


def check(root: Path, splits: list[tuple[str, str]], recipe: str) -> int:
    """Print the content and the problems of the splits; returns 1 if there are problems, else 0.

    `splits` are the training and the validation set: annotation file and image folder, relative to `root`. The image
    sizes of `recipe` say which boxes are too small.
    """
    data = build_config(load_recipe(recipe), f"recipe {recipe}").data
    problems, files = [], []
    for (annotations, folder), problems_of in zip(splits, (training_problems, validation_problems), strict=True):
        try:
            file = AnnotationFile.read(root / annotations, root / folder)
        except ValueError as error:
            problems.append(str(error))
            continue
        files.append(file)
        print("\n".join(summary(file)))
        problems += [f"{file.path}: {problem}" for problem in problems_of(file, progress=True)]
    if len(files) == len(splits):
        train, val = files
        problems += pair_problems(train, val)
        for note in [] if problems else notes(train, val, data, recipe):
            print(f"note: {note}")

    for problem in problems[:MAX_PROBLEMS_PRINTED]:
        print(f"problem: {problem}")
    print(f"{len(problems)} problem(s)" if problems else "no problems")
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.datasets.check",
        description="Check a COCO-format data set: print its content and all problems. "
        "Annotations may lack `segmentation`: boxes suffice for training, masks are needed for mask AP.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--root",
        type=Path,
        required=True,
        default=argparse.SUPPRESS,
        help="folder of the data set, as data.root in params.yaml",
    )
    parser.add_argument("--train-images", default="train", help="folder of the training images, relative to root")
    parser.add_argument("--train-annotations", default="instances_train.json", help="COCO file, relative to root")
    parser.add_argument("--val-images", default="val", help="folder of the validation images, relative to root")
    parser.add_argument("--val-annotations", default="instances_val.json", help="COCO file, relative to root")
    parser.add_argument("--recipe", default="own", help="whose image sizes say which boxes are too small to be seen")
    options = parser.parse_args(arguments)
    splits = [(options.train_annotations, options.train_images), (options.val_annotations, options.val_images)]
    return run_command(partial(check, options.root, splits, options.recipe))


if __name__ == "__main__":
    sys.exit(main())
