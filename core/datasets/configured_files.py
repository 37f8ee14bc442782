"""The annotation files that the settings name. Does not import torch."""

from pathlib import Path

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile


def read_training_file(data: DataConfig) -> AnnotationFile:
    """The annotation file of the training images; see `AnnotationFile.read`."""
    return AnnotationFile.read(Path(data.root, data.train_annotations), Path(data.root, data.train_images))


def read_validation_file(data: DataConfig) -> AnnotationFile:
    """The annotation file of the validation images; see `AnnotationFile.read`."""
    return AnnotationFile.read(Path(data.root, data.val_annotations), Path(data.root, data.val_images))
