"""The example: what it shows a network in ONNX, here a stand-in with onnxruntime's interface, and what it writes."""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from pycocotools import mask as coco_mask

from core.config.file import build_config
from core.datasets.coco import build_training_set, read_training_file
from core.datasets.masks import FILLED_BOX
from core.pseudo_masks.mask_file import add_masks, read_mask_file
from examples import masks_by_onnx

HEIGHT, WIDTH, SIZE = 60, 80, (40, 32)  # SIZE: height and width that the network takes
OBJECT = (slice(20, 40), slice(30, 55))  # white; all else is black
BOXES = {5: [28, 18, 30, 24], 6: [0, 0, 20, 15], 7: [70, 50, 10, 10]}  # annotation id: x, y, width, height


class Session:
    """onnxruntime's InferenceSession of a network that sees bright pixels."""

    def __init__(self, path: str) -> None:
        assert path == "bright.onnx"

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="image", shape=[1, 3, *SIZE])]

    def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        pixels = inputs["image"]
        assert (pixels.shape, pixels.dtype) == ((1, 3, *SIZE), np.float32)
        red = pixels[:, :1] * 0.229 + 0.485  # 0 to 1 again
        return [red, red + 100]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    module = ModuleType("onnxruntime")
    module.InferenceSession = Session
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    (tmp_path / "images").mkdir()
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[OBJECT] = 255
    Image.fromarray(pixels).save(tmp_path / "images/1.png")
    annotations = [{"id": i, "image_id": 1, "category_id": 3, "bbox": box} for i, box in BOXES.items()]
    crowd = {"id": 8, "image_id": 1, "category_id": 3, "bbox": [0, 0, 5, 5], "iscrowd": 1, "segmentation": "as it was"}
    image = {"id": 1, "file_name": "1.png", "width": WIDTH, "height": HEIGHT}
    content = {"images": [image], "annotations": [*annotations, crowd], "categories": [{"id": 3, "name": "cell"}]}
    (tmp_path / "instances_train.json").write_text(json.dumps(content))
    return tmp_path


def run(data: Path, *more: str) -> dict[int, dict[str, Any]]:
    words = ["--images", data / "images", "--boxes", data / "instances_train.json", "--out", data / "masks.json"]
    masks_by_onnx.main(["--network=bright.onnx", *map(str, words), *more])
    return {entry["id"]: entry for entry in json.loads((data / "masks.json").read_text())["annotations"]}


def test_the_object_in_a_box_is_its_mask(data: Path) -> None:
    found = run(data)
    mask = coco_mask.decode(found[5]["segmentation"]).astype(bool)
    true = np.zeros((HEIGHT, WIDTH), dtype=bool)
    true[OBJECT] = True
    assert (mask & true).sum() / (mask | true).sum() > 0.9  # resized there and back
    assert "segmentation" not in found[6]
    assert found[8]["segmentation"] == "as it was"


def test_a_photo_that_is_stored_turned_is_seen_as_it_was_annotated(data: Path) -> None:
    expected = run(data)[5]["segmentation"]
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    with Image.open(data / "images/1.png") as photo:
        photo.transpose(Image.Transpose.ROTATE_90).save(data / "images/1.png", exif=turned)
    assert run(data)[5]["segmentation"] == expected


def test_pixels_outside_of_the_box_are_not_in_its_mask(data: Path) -> None:
    content = json.loads((data / "instances_train.json").read_text())
    content["annotations"][0]["bbox"] = [28, 18, 12, 24]  # ends in the middle of the object
    (data / "instances_train.json").write_text(json.dumps(content))
    assert coco_mask.toBbox(run(data)[5]["segmentation"]).tolist()[0::2] == pytest.approx([30, 10], abs=1)


def test_on_demand_the_filled_box_stands_for_a_missing_mask_and_is_marked(data: Path) -> None:
    found = run(data, "--fill")
    assert [FILLED_BOX.items() <= found[i].items() for i in BOXES] == [False, True, True]
    for annotation_id in (6, 7):  # the second ends with the photo
        assert coco_mask.toBbox(found[annotation_id]["segmentation"]).tolist() == BOXES[annotation_id]


@pytest.mark.parametrize(("more", "without"), [((), [6, 7]), (("--fill",), [])])
def test_a_training_takes_the_file(data: Path, more: tuple[str, ...], without: list[int]) -> None:
    run(data, *more)
    settings = {"root": str(data), "train_images": "images", "train_annotations": "instances_train.json"}
    config = build_config({"data": settings, "supervision": {"pseudo_masks": {"file": "masks.json"}}}, "settings")
    file = read_training_file(config.data)
    dataset = add_masks(build_training_set(file, config.data, config.supervision, 0), file, read_mask_file(config))
    masks = {i: s for r in dataset.records for i, s in zip(r.annotation_ids, r.segmentations, strict=True)}
    assert [annotation_id for annotation_id, mask in masks.items() if mask is None] == without
