"""The images to evaluate on: an annotated split, or test images of which there is a list and nothing else."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from core.config import DataConfig
from core.datasets.annotation_file import AnnotationFile, read_annotation_file
from core.datasets.coco import CocoDataset, load_validation_set

Split = Literal["val", "test-dev"]
TEST_DEV = {"val_annotations": "annotations/image_info_test-dev2017.json", "val_images": "test2017"}  # COCO's names
SHOWN = 5  # missing files that an error message lists


def load_evaluation_set(
    data: DataConfig, split: Split, *, annotations: Path | None = None, images: Path | None = None
) -> CocoDataset:
    """Every image of the split, resized as for validation; test-dev's have no annotations.

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
    if split == "val":
        _check_images(read_annotation_file(path, folder), path, folder)
        return load_validation_set(data)
    with TemporaryDirectory() as scratch:
        listed = Path(scratch, path.name)
        listed.write_text(json.dumps(_read_list(path) | {"annotations": []}))
        _check_images(read_annotation_file(listed, folder), path, folder)
        return load_validation_set(data.model_copy(update={"val_annotations": str(listed)}))


def _read_list(path: Path) -> dict:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(content, dict) or not {"images", "categories"} <= content.keys():
        raise ValueError(f"{path}: expected the sections 'images' and 'categories', as in COCO's image_info files")
    return content


def _check_images(file: AnnotationFile, path: Path, folder: Path) -> None:
    missing = [record.file_name for record in file.images if not (folder / record.file_name).is_file()]
    if missing:
        first = ", ".join(missing[:SHOWN]) + (", ..." if len(missing) > SHOWN else "")
        raise ValueError(f"{folder}: {len(missing)} of the {len(file.images)} images of {path} are missing: {first}")
    replace(file, path=path).raise_problems()
