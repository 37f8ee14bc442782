"""Fingerprint of a data set: a result belongs to what was read, not to where it lay."""

import hashlib
from pathlib import Path

from core.config import DataConfig
from core.datasets.annotation_file import read_annotation_file


def data_digest(data: DataConfig) -> str:
    """Fingerprint of the annotation files and the images they name, wherever they lie: 16 hexadecimal digits.

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
        for record in file.images:
            content = Path(data.root, folder, record.file_name).read_bytes()
            digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()[:16]
