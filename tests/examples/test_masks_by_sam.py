"""The example: what it asks of SAM 2, here a stand-in with the interface of transformers, and the file it writes."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from pycocotools.coco import COCO
from torch import Tensor

from core.config.file import build_config
from core.datasets.coco import build_training_set, read_training_file
from core.pseudo_masks.mask_file import add_masks, read_mask_file
from examples import masks_by_sam

ROOT = Path(__file__).parents[2]
HEIGHT, WIDTH = 24, 32
BOXES = {5: [2, 3, 10, 12], 6: [20, 0, 8, 20], 7: [4, 4, 20, 16]}  # annotation id: x, y, width, height
NOTHING = [20, 0, 28, 20]  # x1, y1, x2, y2 of the box in which the stand-in sees nothing


class Inputs(dict):
    """As transformers' BatchEncoding."""

    def to(self, device: str) -> "Inputs":
        assert device == "meta"
        return self


class Processor:
    """Sam2Processor: prompts of a list of images, each a list of boxes, x1, y1, x2, y2 in pixels of the photo."""

    @classmethod
    def from_pretrained(cls, name: str) -> "Processor":
        assert name == "facebook/sam2.1-hiera-large"
        return cls()

    def __call__(self, *, images: Image.Image, input_boxes: list, return_tensors: str) -> Inputs:
        assert (images.mode, images.size, return_tensors) == ("RGB", (WIDTH, HEIGHT), "pt")
        sizes = torch.tensor([[HEIGHT, WIDTH]])
        return Inputs(pixel_values=torch.zeros(1), input_boxes=torch.tensor(input_boxes), original_sizes=sizes)

    def post_process_masks(self, masks: Tensor, original_sizes: Tensor) -> list[Tensor]:
        assert original_sizes.tolist() == [[HEIGHT, WIDTH]]
        return [masks[0] > 0]  # boxes x 1 x height x width


class Model:
    """Sam2Model, whose mask is the left half of each box."""

    device = "meta"

    @classmethod
    def from_pretrained(cls, name: str) -> "Model":
        return cls()

    def to(self, device: str) -> "Model":
        assert device == "meta"
        return self

    def eval(self) -> "Model":
        return self

    def __call__(
        self, *, pixel_values: Tensor, input_boxes: Tensor, original_sizes: Tensor, multimask_output: bool
    ) -> SimpleNamespace:
        assert not multimask_output
        logits = torch.full((1, input_boxes.shape[1], 1, HEIGHT, WIDTH), -1.0)
        for index, (left, top, right, bottom) in enumerate(input_boxes[0].tolist()):
            if [left, top, right, bottom] != NOTHING:
                logits[0, index, 0, top:bottom, left : (left + right) // 2] = 1.0
        return SimpleNamespace(pred_masks=logits)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photos with boxes, one with none, and a crowd; transformers is the stand-in."""
    module = ModuleType("transformers")
    module.Sam2Processor, module.Sam2Model = Processor, Model
    monkeypatch.setitem(sys.modules, "transformers", module)
    (tmp_path / "images").mkdir()
    images = [{"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in (1, 2, 3)]
    for image in images:
        Image.fromarray(np.zeros((HEIGHT, WIDTH), dtype=np.uint8)).save(tmp_path / "images" / image["file_name"])
    annotations = [
        {"id": i, "image_id": 1 + (i == 7), "category_id": 3, "bbox": box, "segmentation": [[0, 0, 1, 0, 1, 1]]}
        for i, box in BOXES.items()
    ]
    crowd = {"id": 8, "image_id": 2, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 1, "segmentation": "as it was"}
    content = {"images": images, "annotations": [*annotations, crowd], "categories": [{"id": 3, "name": "cell"}]}
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    return tmp_path


def run(data: Path) -> dict[str, Any]:
    words = ["--images", data / "images", "--boxes", data / "instances_train.json", "--out", data / "masks.json"]
    masks_by_sam.main([*map(str, words), "--device=meta"])
    return json.loads((data / "masks.json").read_text())


def test_each_box_gets_its_mask_and_all_else_stays(data: Path) -> None:
    found, expected = run(data), json.loads((data / "instances_train.json").read_text())
    of_boxes = {annotation["id"]: annotation for annotation in found["annotations"]}
    file = COCO()
    file.dataset = found
    file.createIndex()
    for annotation_id in (5, 7):
        x, y, width, height = BOXES[annotation_id]
        mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
        mask[y : y + height, x : x + width // 2] = 1
        assert np.array_equal(file.annToMask(of_boxes[annotation_id]), mask)
        of_boxes[annotation_id]["segmentation"] = [[0, 0, 1, 0, 1, 1]]
    assert "segmentation" not in of_boxes[6]
    of_boxes[6]["segmentation"] = [[0, 0, 1, 0, 1, 1]]
    assert found == expected


def test_a_photo_that_is_stored_turned_is_shown_as_it_was_annotated(data: Path) -> None:
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6  # the stand-in refuses a photo of another size than that of the others
    Image.new("RGB", (HEIGHT, WIDTH)).save(data / "images/1.png", exif=turned)
    assert run(data)["annotations"][0]["segmentation"]["size"] == [HEIGHT, WIDTH]


def test_a_training_takes_the_file(data: Path) -> None:
    run(data)
    settings = {"root": str(data), "train_images": "images", "train_annotations": "instances_train.json"}
    config = build_config({"data": settings, "supervision": {"pseudo_masks": {"file": "masks.json"}}}, "settings")
    file = read_training_file(config.data)
    dataset = add_masks(build_training_set(file, config.data, config.supervision, 0), file, read_mask_file(config))
    masks = {i: s for r in dataset.records for i, s in zip(r.annotation_ids, r.segmentations, strict=True)}
    assert {annotation_id: mask is not None for annotation_id, mask in masks.items()} == {5: True, 6: False, 7: True}


def test_the_readme_shows_the_lines_of_the_example() -> None:
    (shown,) = re.findall(r"```python\n(def add_masks\(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert f"\n{shown}\n" in (ROOT / "examples" / "masks_by_sam.py").read_text()
