"""The images to evaluate on: an annotated split, or test images of which there is a list and nothing else."""

from pathlib import Path
from typing import Literal

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset, build_validation_set

Split = Literal["val", "test-dev"]
TEST_DEV = {"val_annotations": "annotations/image_info_test-dev2017.json", "val_images": "test2017"}  # COCO's names
SHOWN = 5  # missing files that an error message lists


def load_evaluation_set(
    data: DataConfig, split: Split, *, annotations: Path | None = None, images: Path | None = None
) -> tuple[CocoDataset, AnnotationFile]:
    """Every image of the split, resized as for validation, and its annotation file; test-dev's has no annotations.

    `annotations` and `images`, a file and a folder, take the place of those that the config names.

    Raises:
        ValueError: if the annotation file is missing or makes no sense, or if images are missing: says how many of
            how many, and which are the first.
    """
    changes = dict(TEST_DEV) if split == "test-dev" else {}
    if annotations:
        changes["val_annotations"] = str(annotations.absolute())
    if images:
        changes["val_images"] = str(images.absolute())
    data = data.model_copy(update=changes)
    path, folder = Path(data.root, data.val_annotations), Path(data.root, data.val_images)
    file = AnnotationFile.read(path, folder, annotated=split == "val")
    if missing := file.missing_images:
        first = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        raise ValueError(f"{folder}: {len(missing)} of the {len(file.images)} images of {path} are missing: {first}")
    return build_validation_set(file, data), file
