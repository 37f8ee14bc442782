"""Check a data set before training on it: `python -m core.datasets.check --root DIR`.

Prints the content of each annotation file and all problems found; exits with status 1 if there are any.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from core.compute.command import run_command
from core.datasets.annotation_checks import evaluation_problems
from core.datasets.annotation_file import AnnotationFile
from core.datasets.masks import has_area
from core.datasets.photo import is_turned_unseen, open_rgb

MAX_PROBLEMS_PRINTED = 20


def split_problems(file: AnnotationFile, progress: bool = False) -> list[str]:
    """Problems of a split: of its annotation file, all masks, and all images, which are decoded."""
    problems = list(file.problems)
    for record in tqdm(file.images, desc=file.path.name, unit="image", disable=not progress, leave=False):
        problems += record.segmentation_problems()
        if (file.image_folder / record.file_name).is_file():
            try:
                open_rgb(file.image_folder / record.file_name, record.width, record.height)
            except ValueError as error:
                problems.append(str(error))
    return problems


def pair_problems(train: AnnotationFile, val: AnnotationFile) -> list[str]:
    """Problems between the splits: different categories, shared images."""
    problems = []
    if (train.category_ids, train.categories) != (val.category_ids, val.categories):
        found, expected = (dict(zip(f.category_ids, f.categories, strict=True)) for f in (val, train))
        problems.append(f"{val.path}: categories are {found}, expected those of {train.path}: {expected}")
    shared = {record.file_name for record in train.images} & {record.file_name for record in val.images}
    if shared and train.image_folder == val.image_folder:
        problems.append(f"{len(shared)} images are in both splits, such as {min(shared)}; expected none")
    return problems


def summary(file: AnnotationFile) -> list[str]:
    """Lines that describe the content of a split."""
    instances = Counter(int(label) for record in file.images for label in record.labels)
    segmentations = [segmentation for record in file.images for segmentation in record.segmentations]
    with_mask = sum(has_area(segmentation) for segmentation in segmentations)
    boxes = np.concatenate([record.boxes for record in file.images] or [np.zeros((0, 4))])
    sides = np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
    small, medium = int((sides < 32).sum()), int(((sides >= 32) & (sides < 96)).sum())
    return [
        f"{file.path}",
        f"  images      {len(file.images)}, {span('width', [record.width for record in file.images])}, "
        f"{span('height', [record.height for record in file.images])}",
        f"  empty       {sum(len(record.labels) == 0 for record in file.images)} images without an instance",
        f"  instances   {len(segmentations)}: {with_mask} with a mask, {len(segmentations) - with_mask} box only",
        f"  left out    {sum(record.num_crowds for record in file.images)} crowds, "
        f"{sum(record.num_flat_boxes for record in file.images)} boxes of width or height 0",
        f"  clipped     {sum(record.num_clipped_boxes for record in file.images)} boxes that extend past their image"
        " (if many: boxes must be x, y, width, height)",
        f"  box sides   {small} under 32 px, {medium} under 96 px, {len(sides) - small - medium} larger",
        "  categories  label: id name (instances)",
        *(
            f"    {label}: {category_id} {name} ({instances[label]})"
            for label, (category_id, name) in enumerate(zip(file.category_ids, file.categories, strict=True))
        ),
    ]


def span(name: str, values: Iterable[int]) -> str:
    values = list(values) or [0]
    return f"{name} {min(values)}" + (f" to {max(values)}" if max(values) > min(values) else "") + " px"


def check(root: Path, splits: list[tuple[str, str]]) -> int:
    """Print the content and the problems of the splits; returns 1 if there are problems, else 0.

    `splits` are the training and the validation set: annotation file and image folder, relative to `root`.
    """
    problems, files = [], []
    for annotations, folder in splits:
        try:
            file = AnnotationFile.read(root / annotations, root / folder)
        except ValueError as error:
            problems.append(str(error))
            continue
        files.append(file)
        print("\n".join(summary(file)))
        problems += [f"{file.path}: {problem}" for problem in split_problems(file, progress=True)]
        if turned := [r.file_name for r in file.images if is_turned_unseen(file.image_folder / r.file_name)]:
            print(
                f"  rotated     {len(turned)} images that viewers rotate or mirror by EXIF, such as {turned[0]}: their "
                "size does not show which orientation the boxes refer to; pixels are used as stored, as in COCO"
            )
    if len(files) == len(splits):
        training_file, validation_file = files
        problems += pair_problems(training_file, validation_file)
        if not any(problem.startswith(f"{validation_file.path}:") for problem in problems):
            found = evaluation_problems(validation_file.content)  # areas and crowds, which `CocoDataset` does not read
            problems += [f"{validation_file.path}: {problem}" for problem in found]
        if any(not has_area(s) for record in validation_file.images for s in record.segmentations):
            expected = "some instances have no mask, expected one for each: mask AP needs them"
            problems.append(f"{validation_file.path}: {expected}")

    for problem in problems[:MAX_PROBLEMS_PRINTED]:
        print(f"problem: {problem}")
    print(f"{len(problems)} problem(s)" if problems else "no problems")
    return 1 if problems else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.datasets.check",
        description="Check a COCO-format data set: print its content and all problems. "
        "Annotations may lack `segmentation`: boxes suffice for training, masks are needed for evaluation.",
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
    options = parser.parse_args(arguments)
    splits = [(options.train_annotations, options.train_images), (options.val_annotations, options.val_images)]
    return run_command(partial(check, options.root, splits))


if __name__ == "__main__":
    sys.exit(main())
