"""The data of a trial on a node: where the driver has it, or a copy, fetched once per node.

A node has the data if the annotation files are the very files of the driver, on a file system that both see, or if
the digest of annotations and images is the one that the driver found. Anything else is replaced by a copy in the cache
of the node: from the driver, through Ray, or from a URI that all nodes reach.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyarrow import fs

from core.config import Config
from core.datasets.coco import read_training_file, read_validation_file
from core.datasets.digest import data_digest
from core.files.imagenet_weights import is_file_name, with_weights
from core.files.lock import exclusive
from core.pseudo_masks.mask_file import read_mask_file, with_masks
from experiments.jobs import Job

DATA_URI = "BOXINST_DATA_URI"  # names a place with the folders of datasets/, as in s3://bucket/datasets
BATCH = 64 * 2**20  # bytes of files that are sent at once


@dataclass(frozen=True)
class NeededData:
    """The data and the initial weights of some trials, as files below the folder in which the command runs."""

    config: Config  # of one of them
    digest: str  # of data, masks from elsewhere and weights, as in the key of a trial
    stamp: tuple[tuple[int, int, int], ...]  # of the driver's files, see `stamp_of`

    @property
    def root(self) -> str:
        return self.config.data.root

    @property
    def weights_file(self) -> str | None:
        weights = self.config.model.backbone.weights
        return weights if is_file_name(weights) else None


def needed_data(jobs: Sequence[Job], folder: Path) -> dict[str, NeededData]:
    """What the jobs of a sweep that runs in `folder` read, by digest."""
    needed = {}
    for job in jobs:
        if job.data_digest not in needed:
            found = NeededData(job.trial.config, job.data_digest, ())
            needed[job.data_digest] = replace(found, stamp=stamp_of(found, folder))
    return needed


def stamp_of(needed: NeededData, folder: Path) -> tuple[tuple[int, int, int], ...]:
    """Number, bytes and time of the last write (ns) of the annotation files: equal only for one and the same file.

    Raises:
        OSError: if one is missing.
    """
    root = folder / needed.root
    paths = [root / needed.config.data.train_annotations, root / needed.config.data.val_annotations]
    if needed.config.supervision.mask_file:
        paths.append(root / needed.config.supervision.mask_file)
    if needed.weights_file:
        paths.append(folder / needed.weights_file)
    found = [path.stat() for path in paths]
    return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


def holds(folder: Path, needed: NeededData) -> bool:
    """Whether the data below `folder` is that of the driver. A copy of its own is read in full."""
    try:
        if stamp_of(needed, folder) == needed.stamp:
            return True
        data = needed.config.data.model_copy(update={"root": str(folder / needed.root)})
        masks = read_mask_file(needed.config.model_copy(update={"data": data}))
        weights = needed.weights_file and str(folder / needed.weights_file)
        digest = with_weights(data_digest(read_training_file(data), read_validation_file(data)), weights)
        return with_masks(digest, masks and masks.fingerprint) == needed.digest
    except (OSError, ValueError):  # missing, or not whole
        return False


def folder_with_data(needed: NeededData, folder: Path, fetch: Callable[[Path], None]) -> Path:
    """The folder below which this node has the data: `folder` itself, or a copy that `fetch` writes below its argument.

    The copy appears whole or not at all; the processes of a node that need it wait for the one that fetches.

    Raises:
        OSError: if it cannot be fetched or written.
        ValueError: if what was fetched is not the driver's data, or a path leads out of the folder.
    """
    if holds(folder, needed):
        return folder
    for path in filter(None, (needed.root, needed.weights_file)):
        if Path(path).is_absolute() or ".." in Path(path).parts:
            raise ValueError(
                f"this node has no copy of {path} like the driver's, and only files below the folder of the command "
                "can be sent"
            )
    cache = cache_folder()
    target = cache / needed.digest
    with exclusive(cache / f"{needed.digest}.lock"):
        if not holds(target, needed):
            for left in cache.glob(f".{needed.digest}-*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
            partial = Path(tempfile.mkdtemp(prefix=f".{needed.digest}-", dir=cache))
            try:
                fetch(partial)
                if not holds(partial, needed):
                    raise ValueError(f"what was fetched as {needed.root} is not the data of the driver")
                shutil.rmtree(target, ignore_errors=True)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return target


def cache_folder() -> Path:
    """Where this node keeps copies of data sets, one folder for each digest."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "boxinst" / "data"


def fetch_uri(uri: str, needed: NeededData, target: Path) -> None:
    """Copy the data set, not the weights, from a folder of `uri` below `target`.

    Raises:
        OSError, ValueError: if the URI is of no known kind, or cannot be read.
    """
    system, path = fs.FileSystem.from_uri(uri)
    place = target / needed.root
    place.mkdir(parents=True)
    source = f"{path.rstrip('/')}/{Path(needed.root).name}"
    fs.copy_files(source, str(place), source_filesystem=system, destination_filesystem=fs.LocalFileSystem())


def sent_files(needed: NeededData, folder: Path, *, with_data: bool) -> list[tuple[str, int]]:
    """The files that the driver sends, with their bytes: the weights, and the data set unless it is had from a URI."""
    paths = [folder / needed.weights_file] if needed.weights_file else []
    if with_data:
        root = folder / needed.root
        paths += sorted(Path(place, name) for place, _, names in os.walk(root, followlinks=True) for name in names)
    return [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in paths]


def batches(files: Iterable[tuple[str, int]]) -> Iterator[list[str]]:
    """The names in groups of some `BATCH` bytes."""
    batch: list[str] = []
    total = 0
    for name, size in files:
        if batch and total + size > BATCH:
            yield batch
            batch, total = [], 0
        batch.append(name)
        total += size
    if batch:
        yield batch
