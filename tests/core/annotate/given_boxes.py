"""A COCO file with annotations of every kind, and a network whose masks are known, to fill it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from torch import Tensor

from core.annotate.__main__ import main
from core.annotate.box_masks import NetworkMasks
from core.annotate.filled import Filled, fill_boxes
from core.annotate.output import ANNOTATIONS
from core.structures import Predictions
from tests.core.pseudo_masks.test_teacher import HEIGHT, WIDTH, HalfPlanes

SQUARE = [0, 0, 32, 32]  # its mask is all that lies left of x = 20: 20 x 32 pixels (`test_given_boxes`)
BETWEEN = [45, 2, 6, 20]  # between the locations of the network: 6 x 20 pixels, filled
TRIANGLE = [[40, 4, 60, 4, 60, 24]]
CROWD = {"size": [HEIGHT, WIDTH], "counts": [100, 28, HEIGHT * WIDTH - 128]}


def content() -> dict[str, Any]:
    """Three photos with annotations of every kind, keys and sections of others, and ids in no order."""
    return {
        "info": {"year": 2026},
        "images": [
            {"id": 9, "file_name": "b.png", "width": WIDTH, "height": HEIGHT, "license": 3},
            {"id": 4, "file_name": "deep/a.png", "width": WIDTH, "height": HEIGHT},
            {"id": 5, "file_name": "c.png", "width": WIDTH, "height": HEIGHT},
        ],
        "extra": [{"of": "another tool", "1.50": 1.5}],
        "annotations": [
            {"id": 70, "note": "ä", "image_id": 4, "category_id": 0, "bbox": SQUARE, "attributes": {"occluded": False}},
            {"id": 3, "bbox": BETWEEN, "image_id": 4, "category_id": 6, "segmentation": [], "track": [1, 2]},
            {"id": 8, "image_id": 9, "category_id": 0, "bbox": [3, 4, 2, 14], "iscrowd": 1, "segmentation": CROWD},
            {"id": 1, "image_id": 9, "category_id": 0, "bbox": [40, 4, 20, 20], "segmentation": TRIANGLE, "area": 7.5},
            {"id": 2, "image_id": 9, "category_id": 0, "bbox": [5, 5, 0, 9], "segmentation": None},
            {"id": 6, "image_id": 9, "category_id": 6, "bbox": SQUARE, "iscrowd": 0, "area": 1024, "score": 0.5},
        ],
        "categories": [{"id": 6, "name": "bird", "supercategory": "animal"}, {"id": 0, "name": "thing"}],
        "licenses": [],
    }


class Counted(HalfPlanes):
    """Counts the photos it sees, and is interrupted at one of them."""

    interrupt_at = None

    def forward(self, images: Tensor, image_sizes: list[tuple[int, int]]) -> Predictions:
        predictions = super().forward(images, image_sizes)
        if self.num_images == self.interrupt_at:
            raise KeyboardInterrupt
        return predictions


def write(folder: Path, boxes: dict[str, Any]) -> None:
    (folder / "boxes.json").write_text(json.dumps(boxes))


def fill(folder: Path, boxes: str = "boxes.json", out: str = "out", **settings: Any) -> Filled:
    source = NetworkMasks.read(folder / "checkpoint.pt", device="cpu", close_views=False)
    return fill_boxes(source, folder / boxes, folder / "photos", folder / out, **settings)


def result(folder: Path, out: str = "out") -> dict[str, Any]:
    return json.loads((folder / out / ANNOTATIONS).read_text())


def annotation(of: dict[str, Any], annotation_id: int) -> dict[str, Any]:
    (found,) = (entry for entry in of["annotations"] if entry["id"] == annotation_id)
    return found


def pixels(folder: Path, annotation_id: int, out: str = "out") -> np.ndarray:
    file = COCO(folder / out / ANNOTATIONS)
    return file.annToMask(file.anns[annotation_id]).astype(bool)


def run(folder: Path, *options: str) -> int:
    words = ["--checkpoint", folder / "checkpoint.pt", "--images", folder / "photos", "--out", folder / "out"]
    return main([*map(str, words), "--device=cpu", f"--boxes={folder / 'boxes.json'}", "--whole-photos", *options])
