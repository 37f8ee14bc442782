"""What to say of classes with few boxes, and of those that one split lacks."""

from collections import Counter

from core.datasets.annotation_file import AnnotationFile

FEW = 10  # boxes of a class; fewer are hardly learned
NUM_SHOWN = 8  # classes in a message


def class_line(train: AnnotationFile) -> str:
    """The number of classes, and the first names with their training boxes."""
    counts = boxes_of_classes(train)
    return f"{len(train.categories)}: " + _shown([f"{name} ({counts[name]} boxes)" for name in train.categories])


def class_notes(train: AnnotationFile, val: AnnotationFile) -> list[str]:
    """Classes with fewer than FEW training boxes, and those with boxes in one split alone."""
    of_train, of_val = boxes_of_classes(train), boxes_of_classes(val)
    few = [f"{name} ({of_train[name]})" for name in train.categories if 0 < of_train[name] < FEW]
    never = [name for name in train.categories if not of_train[name]]
    only_train = [name for name in train.categories if of_train[name] and not of_val[name]]
    notes = []
    if few:
        notes.append(f"{train.path}: fewer than {FEW} boxes to learn from: {_shown(few)}")
    if never:
        in_val = [f"{name} ({of_val[name]} in validation)" if of_val[name] else name for name in never]
        notes.append(f"{train.path}: no box to learn from: {_shown(in_val)}")
    if only_train:
        notes.append(f"{val.path}: no box to measure AP on: {_shown(only_train)}")
    return notes


def boxes_of_classes(file: AnnotationFile) -> Counter[str]:
    return Counter(file.categories[label] for record in file.images for label in record.labels.tolist())


def _shown(items: list[str]) -> str:
    more = f" and {len(items) - NUM_SHOWN} more" if len(items) > NUM_SHOWN else ""
    return ", ".join(items[:NUM_SHOWN]) + more
