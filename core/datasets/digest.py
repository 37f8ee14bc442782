"""Digest of a data set: results are identified by the content of the data, not by its path. Does not import torch."""

import hashlib
from typing import Any, Protocol, runtime_checkable

from core.datasets.annotation_file import AnnotationFile, ImageRecord
from core.datasets.photo import check_size


@runtime_checkable
class Sharing(Protocol):
    """Processes that share the reading of images; this one has a rank. `core.compute.workers.Workers` is one."""

    rank: int
    count: int

    def gather(self, item: Any) -> list[Any]:
        """The items of all processes, ordered by rank."""
        ...


class OneProcess:
    rank, count = 0, 1

    def gather(self, item: Any) -> list[Any]:
        return [item]


def data_digest(training_file: AnnotationFile, validation_file: AnnotationFile, workers: Sharing | None = None) -> str:
    """Digest of the content of the annotation files and their images, independent of paths: 16 hexadecimal digits.

    Each of the `workers` (None: this process alone) reads a share of the images and returns the digest of all.

    Raises:
        ValueError: if an annotation file has problems, or an image is missing, no image, or of another size than its
            annotations say.
    """
    workers = workers or OneProcess()
    digest = hashlib.sha256()
    for file in (training_file, validation_file):
        file.raise_problems()
        digest.update(file.fingerprint)
        mine = [_digest_of(file, record) for record in file.images[workers.rank :: workers.count]]
        of_images: list[bytes] = [b""] * len(file.images)
        for rank, share in enumerate(workers.gather(mine)):
            of_images[rank :: workers.count] = share
        digest.update(b"".join(of_images))
    return digest.hexdigest()[:16]


def _digest_of(file: AnnotationFile, record: ImageRecord) -> bytes:
    path = file.image_folder / record.file_name
    content = path.read_bytes()
    try:
        check_size(path, record.width, record.height)  # now, not after a training, when a photo is first evaluated
    except ValueError as error:
        raise ValueError(f"{file.path}: image {record.image_id}: {error}") from None
    return hashlib.sha256(content).digest()
