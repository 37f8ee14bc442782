"""Two images of a blue disk, their annotation file, data set and pseudo masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from core.config import DataConfig, SupervisionConfig
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset, load_training_set
from core.pseudo_masks.grabcut import write_pseudo_masks

HEIGHT, WIDTH = 48, 64
DISK_BOX = [20, 10, 24, 24]  # xywh, tight
OTHER_BOX = [2, 30, 8, 10]
IDENTITY = {"method": "grabcut", "seed": 0, "config": {"supervision": {"mask_ratio": 0.0}}}


def disk() -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return (x - 31.5) ** 2 + (y - 21.5) ** 2 <= 12**2


def picture() -> np.ndarray:
    """A blue disk before an orange ground, with a little noise."""
    noise = np.random.default_rng(0).integers(-8, 9, (HEIGHT, WIDTH, 3))
    return (np.where(disk()[..., None], [40, 60, 200], [220, 140, 40]) + noise).astype(np.uint8)


def xyxy(box: list[float]) -> np.ndarray:
    x, y, width, height = box
    return np.array([x, y, x + width, y + height], dtype=np.float64)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def decoded(segmentation: dict) -> np.ndarray:
    return coco_mask.decode(segmentation).astype(bool)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two images of the disk, ids 7 and 9, each with the disk (a polygon of its box) and another box, and a crowd."""
    (tmp_path / "train").mkdir()
    images, annotations = [], []
    for image_id in (7, 9):
        Image.fromarray(picture()).save(tmp_path / "train" / f"{image_id}.png")
        images.append({"id": image_id, "file_name": f"{image_id}.png", "width": WIDTH, "height": HEIGHT})
        for number, box in enumerate([DISK_BOX, OTHER_BOX]):
            x, y, w, h = box
            polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            annotations.append({"id": 10 * image_id + number, "image_id": image_id, "category_id": 3, "bbox": box,
                                "iscrowd": 0, "area": w * h, "segmentation": polygon})  # fmt: skip
    crowd = {"id": 1, "image_id": 7, "category_id": 3, "bbox": DISK_BOX, "iscrowd": 1}
    content = {
        "info": {"year": 2020},
        "images": images,
        "annotations": [*annotations, crowd],
        "categories": [{"id": 3, "name": "disk"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return tmp_path


def data_set(folder: Path, **supervision) -> CocoDataset:
    data = DataConfig(
        root=str(folder), train_images="train", train_annotations="instances.json", short_sides=(HEIGHT,),
        long_side_max=WIDTH, flip_probability=0.0, ignored_bottom_rows=0,
    )  # fmt: skip
    return load_training_set(data, SupervisionConfig(**supervision), seed=0)


def file_of(dataset: CocoDataset) -> AnnotationFile:
    return AnnotationFile.read(dataset.annotation_path, dataset.image_folder)


def write(path: Path, dataset: CocoDataset, masks: dict[int, dict], *, seconds: float = 0.0) -> None:
    write_pseudo_masks(path, file_of(dataset), dataset, masks, seconds=seconds, identity=IDENTITY)


def bent(path: Path, **differences) -> None:
    """Change the first annotation of a file."""
    content = json.loads(path.read_text())
    content["annotations"][0] |= differences
    path.write_text(json.dumps(content))
