"""What jobs and plans need to know of a data set: its digest, its classes and the length of an epoch."""

import os
from collections.abc import Iterator
from pathlib import Path

from core.config import DataConfig, Frozen
from core.datasets.configured_files import read_training_file, read_validation_file
from core.datasets.digest import data_digest
from experiments.planning.remembered import Remembered

FILES = ("train_annotations", "val_annotations")
FOLDERS = ("train_images", "val_images")


class DataFacts(Frozen):
    digest: str  # `data_digest` of training and validation set
    num_classes: int
    num_images: int  # of an epoch


def read_facts(data: DataConfig) -> DataFacts:
    """Read the annotation files and every image.

    Raises:
        ValueError: if a file is missing or has problems.
    """
    training_file, validation_file = read_training_file(data), read_validation_file(data)
    digest = data_digest(training_file, validation_file)
    used = [image for image in training_file.images if len(image.labels) or not data.drop_images_without_boxes]
    return DataFacts(digest=digest, num_classes=len(validation_file.categories), num_images=len(used))


class KnownData:
    """The facts of data sets, each read once.

    With `remembered`, those of files of the same names, sizes and times as before are not read again: for a plan, which
    may err. A sweep reads all.
    """

    def __init__(self, remembered: Remembered | None = None) -> None:
        self._remembered = remembered
        self._known: dict[str, DataFacts] = {}

    def facts(self, data: DataConfig) -> DataFacts:
        """The facts of a data set.

        Raises:
            ValueError: as `read_facts`.
        """
        places = data.model_dump(mode="json", include={"root", *FILES, *FOLDERS, "drop_images_without_boxes"})
        key = repr(places)
        if key not in self._known:
            if self._remembered is None:
                self._known[key] = read_facts(data)
            else:
                depends_on = [places, state_of_files(data)]
                self._known[key] = self._remembered.fact(DataFacts, depends_on, lambda: read_facts(data))
        return self._known[key]


def state_of_files(data: DataConfig) -> list[tuple[str, int, int]]:
    """Path, size and time of the last change (ns) of the annotation files and of all files in the image folders."""
    root = Path(data.root)
    files = [root / getattr(data, name) for name in FILES]
    found = {str(path): path.stat() for path in files if path.is_file()}
    for name in FOLDERS:
        found |= {entry.path: entry.stat() for entry in _files_below(str(root / getattr(data, name)))}
    return [(path, state.st_size, state.st_mtime_ns) for path, state in sorted(found.items())]


def _files_below(folder: str) -> Iterator[os.DirEntry]:
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files_below(entry.path)
            elif entry.is_file():
                yield entry
