"""The images to evaluate on: an annotated split, or test images without public annotations."""

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
    """All images of the split, resized as for validation, and its annotation file; test-dev's has no annotations.

    `annotations` (a file) and `images` (a folder) replace those of the config.

    Raises:
        ValueError: if the annotation file is missing or invalid, or images are missing: says how many, and names the
            first of them.
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
