"""Fingerprint of a data set: a result belongs to what was read, not to where it lay."""

import hashlib
from pathlib import Path

from core.compute.workers import ALONE, Workers
from core.config import DataConfig
from core.datasets.annotation_file import read_annotation_file


def data_digest(data: DataConfig, workers: Workers = ALONE) -> str:
    """Fingerprint of the annotation files and the images they name, wherever they lie: 16 hexadecimal digits.

    Each of the `workers` reads a share of the images, and gets the fingerprint of all.

    Raises:
        ValueError: if an annotation file is missing or wrong, or names an image that is missing.
    """
    digest = hashlib.sha256()
    splits = [(data.train_annotations, data.train_images), (data.val_annotations, data.val_images)]
    for annotations, folder in splits:
        path = Path(data.root, annotations)
        file = read_annotation_file(path, Path(data.root, folder))
        file.raise_problems()
        digest.update(hashlib.sha256(path.read_bytes()).digest())
        names = [record.file_name for record in file.images]
        mine = [_digest_of(Path(data.root, folder, name)) for name in names[workers.rank :: workers.count]]
        of_images: list[bytes] = [b""] * len(names)
        for rank, share in enumerate(workers.gather(mine)):
            of_images[rank :: workers.count] = share
        digest.update(b"".join(of_images))
    return digest.hexdigest()[:16]


def _digest_of(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
