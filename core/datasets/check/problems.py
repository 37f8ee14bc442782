"""What is wrong with a data set before a training, and what should be known of it; what is worth a look.

A problem: a training would refuse the data, or silently learn or measure something wrong (corners in place of width
and height, photos annotated or listed twice, validation photos that were trained on). A note: the training is right,
but its result may not be what was hoped for (boxes without masks, masks beside their boxes, small or clipped boxes,
classes with few boxes, photos without any, malformed masks of crowds to train on). A few repeated boxes or photos, as
large public sets have them, are a note.
"""

from collections.abc import Iterator

import numpy as np
from tqdm import tqdm

from core.config import DataConfig
from core.datasets.annotation_checks import evaluation_problems
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check import box_checks
from core.datasets.check.box_checks import Finding
from core.datasets.check.class_notes import class_notes
from core.datasets.check.photo_checks import content_note, empty_note, repeated_names, shared_content
from core.datasets.crowd_masks import crowd_mask_note
from core.datasets.foreign_masks import mostly_outside
from core.datasets.image_checks import is_missing
from core.datasets.photo import open_rgb
from core.datasets.small_boxes import too_small
from core.datasets.summary import num_masks
from core.datasets.view_sizes import SIZES, view_sides


def split_problems(file: AnnotationFile, progress: bool = False) -> list[str]:
    """Problems of a split: of its annotation file, all masks of instances, and all images, which are decoded."""
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


def silent_problems(file: AnnotationFile) -> list[str]:
    """Problems of a split that a training would take without a word, and learn or measure something wrong."""
    corners, repeated = box_checks.corner_problem(file), box_checks.repeated_problem(file)
    found = [corners] if corners else []
    return repeated_names(file) + found + ([repeated[0]] if repeated and repeated[1] else [])


def pair_problems(train: AnnotationFile, val: AnnotationFile) -> list[str]:
    """Problems between the splits: different classes, shared images, under one name or two."""
    problems = []
    if train.categories != val.categories:
        found, expected = (dict(zip(f.category_ids, f.categories, strict=True)) for f in (val, train))
        problems.append(f"{val.path}: categories are {found}, expected those of {train.path}: {expected}")
    shared = {record.file_name for record in train.images} & {record.file_name for record in val.images}
    if shared and train.image_folder == val.image_folder:
        problems.append(f"{len(shared)} images are in both splits, such as {min(shared)}; expected none")
    copies = shared_content(train, val)
    if copies and copies[1]:
        problems.append(copies[0])
    return problems


def notes(train: AnnotationFile, val: AnnotationFile, data: DataConfig, recipe: str) -> list[str]:
    """What hinders no training of boxes, but should be known before it."""
    found = []
    if small := too_small(train.images, data):
        found.append(f"{train.path}: with the recipe {recipe}, {small}")
    if note := crowd_mask_note(train.images, data.crowds):
        found.append(f"{train.path}: {note}")
    copies = shared_content(train, val)
    if copies and not copies[1]:
        found.append(copies[0])
    for file in (train, val):
        repeated = box_checks.repeated_problem(file)
        more = [repeated[0]] if repeated and not repeated[1] else []
        found += [f"{file.path}: {note}" for note in more + box_checks.box_notes(file)]
        found += [f"{file.path}: {note}" for note in (outside_note(file), content_note(file), empty_note(file)) if note]
    without = [(box_checks.num_boxes(file) - sum(map(num_masks, file.images)), file.path) for file in (train, val)]
    if counts := ", ".join(f"{count} of {path.name}" for count, path in without if count):
        needs = "AP of masks needs those in validation, and the arm `full` of a study those in training"
        found.append(f"boxes without a mask, which suffice to train: {counts}; {needs}")
    if not any(len(record.labels) for record in val.images):
        found.append(f"{val.path}: no instance, so that no AP can be measured")
    return found + class_notes(train, val)


def outside_note(file: AnnotationFile) -> str | None:
    """How many masks lie beside their box, with the first of them."""
    masks = [problem for record in file.images for problem in mostly_outside(record)]
    return f"{len(masks)} masks beside their box, such as {masks[0]}" if masks else None


def suspects(file: AnnotationFile, data: DataConfig) -> Iterator[Finding]:
    """What is worth a look, worst first: what is wrong, then what may be, then the smallest boxes."""
    for find in ("outside", "corners", "repeated", "nearly_repeated", "past_the_image"):
        yield from getattr(box_checks, find)(file)
    sides = view_sides(file.images, data)
    ids = [(record.image_id, annotation_id) for record in file.images for annotation_id in record.annotation_ids]
    for place in np.argsort(sides, kind="stable"):
        if sides[place] >= SIZES[0]:
            return
        yield Finding(f"under {SIZES[0]} px", ids[place][0], ids[place][1:])
