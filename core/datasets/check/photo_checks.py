"""Photos that a data set has more than once: under one name, under two, or in both splits."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from core.datasets.annotation_file import AnnotationFile
from core.datasets.image_checks import is_missing

MAX_SHARED_SHARE = 0.01  # of the validation photos, with the content of a training photo
MANY_EMPTY = 0.1  # share of the images without an instance


def repeated_names(file: AnnotationFile) -> list[str]:
    """Photos with several entries: each has only some of the boxes, and the rest is learned as background."""
    counts = Counter(record.file_name for record in file.images)
    return [
        f"images: file_name {name} appears in {count} entries, expected one with all its annotations"
        for name, count in counts.items()
        if count > 1
    ]


def same_content(files: Sequence[AnnotationFile]) -> list[list[tuple[AnnotationFile, str]]]:
    """Groups of photos of equal bytes at different paths, each with its file; only sizes that recur are read."""
    places: dict[Path, tuple[AnnotationFile, str]] = {}
    for file in files:
        for record in file.images:
            path = file.image_folder / record.file_name
            if not is_missing(path):
                places.setdefault(path.resolve(), (file, record.file_name))
    by_size, by_content = defaultdict(list), defaultdict(list)
    for path in places:
        by_size[path.stat().st_size].append(path)
    for paths in by_size.values():
        for path in paths if len(paths) > 1 else ():
            by_content[hashlib.sha256(path.read_bytes()).digest()].append(places[path])
    return [group for group in by_content.values() if len(group) > 1]


def content_note(file: AnnotationFile) -> str | None:
    """What to say of photos that a split has under several names."""
    groups = same_content([file])
    if not groups:
        return None
    first = " and ".join(name for _, name in groups[0])
    return f"{len(groups)} photos have copies under other names, such as {first}; do their boxes agree?"


def shared_content(train: AnnotationFile, val: AnnotationFile) -> tuple[str, bool] | None:
    """What to say of validation photos whose content is trained on, and whether it is a problem.

    AP looks better than it is: too few to matter are up to MAX_SHARED_SHARE.
    """
    shared = []
    for group in same_content([train, val]):
        of_train = [name for file, name in group if file is train]
        shared += [(name, of_train[0]) for file, name in group if file is val and of_train]
    if not shared:
        return None
    found = f"{val.path}: {len(shared)} of {len(val.images)} photos are in the training set, too, such as"
    text = f"{found} {shared[0][0]}, there {shared[0][1]}: AP would look better than it is"
    return text, len(shared) > MAX_SHARED_SHARE * len(val.images)


def empty_note(file: AnnotationFile) -> str | None:
    """What to say if many images have no instance."""
    empty = [record.file_name for record in file.images if not len(record.labels)]
    if len(empty) <= MANY_EMPTY * len(file.images):
        return None
    found = f"{len(empty)} of {len(file.images)} images have no box, such as {empty[0]}; are they really empty?"
    return f"{found} Where an object lacks its box, finding it counts as an error"
