"""Digest of a data set: results are identified by the content of the data, not by its path."""

import hashlib
from pathlib import Path

from core.compute.workers import ALONE, Workers
from core.datasets.annotation_file import AnnotationFile


def data_digest(training_file: AnnotationFile, validation_file: AnnotationFile, workers: Workers = ALONE) -> str:
    """Digest of the content of the annotation files and their images, independent of paths: 16 hexadecimal digits.

    Each of the `workers` reads a share of the images and returns the digest of all.

    Raises:
        ValueError: if an annotation file has problems, or an image is missing.
    """
    digest = hashlib.sha256()
    for file in (training_file, validation_file):
        file.raise_problems()
        digest.update(file.fingerprint)
        paths = [file.image_folder / record.file_name for record in file.images]
        mine = [_digest_of(path) for path in paths[workers.rank :: workers.count]]
        of_images: list[bytes] = [b""] * len(paths)
        for rank, share in enumerate(workers.gather(mine)):
            of_images[rank :: workers.count] = share
        digest.update(b"".join(of_images))
    return digest.hexdigest()[:16]


def _digest_of(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
