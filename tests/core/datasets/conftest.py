"""A folder of tiny images with an annotation file, to be bent by each test."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT = 40, 24
BOX = [4, 8, 16, 8]  # xywh; xyxy 4 8 20 16
RECTANGLE = [[4, 8, 20, 8, 20, 16, 4, 16]]  # the polygon of BOX: rows 8..15, columns 4..19


def annotation(annotation_id: int = 1, image_id: int = 7, **fields: Any) -> dict:
    default = {"id": annotation_id, "image_id": image_id, "category_id": 3, "bbox": list(BOX), "iscrowd": 0}
    return default | {"area": 128} | fields


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes `train/` and `instances_train.json` and returns the root; image ids get one file each."""

    def write_data_set(annotations: list[dict], image_ids: tuple[int, ...] = (7,), **sections: Any) -> Path:
        (tmp_path / "train").mkdir(exist_ok=True)
        for image_id in image_ids:
            pixels = np.random.default_rng(image_id).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "train" / f"{image_id}.png")
        content = {
            "images": [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in image_ids],
            "annotations": annotations,
            "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog"}],
        }
        (tmp_path / "instances_train.json").write_text(json.dumps(content | sections))
        return tmp_path

    return write_data_set
