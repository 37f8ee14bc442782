"""Fingerprint of a data set: a result belongs to what was read, not to where it lay."""

import hashlib
from pathlib import Path

from core.compute.workers import ALONE, Workers
from core.datasets.annotation_file import AnnotationFile


def data_digest(training_file: AnnotationFile, validation_file: AnnotationFile, workers: Workers = ALONE) -> str:
    """Fingerprint of the annotation files and the images they name, wherever they lie: 16 hexadecimal digits.

    Each of the `workers` reads a share of the images, and gets the fingerprint of all.

    Raises:
        ValueError: if an annotation file is wrong, or names an image that is missing.
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
