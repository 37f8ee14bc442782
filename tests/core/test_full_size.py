"""The recipes on COCO and VOC as they stand, at full image size, on real photos: they train, and find something.

Run where the environment names a COCO-format folder, `COCO_DIR`: `instances_train.json` and `instances_val.json` with
their photos in `images/`. ImageNet weights are not needed. A recipe takes some minutes and GB on a CPU.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from core.compute.compute import Compute
from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets.annotation_file import AnnotationFile
from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, coco_metrics
from core.model.build import build_model
from core.model.condinst import CondInst
from core.training.loop import train
from tests.core.config.test_recipe import GPU_RECIPES
from tests.core.evaluation.test_twelve_numbers import pycocotools_statistics

pytestmark = pytest.mark.full_size


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(os.environ["COCO_DIR"]).absolute()


def first_images(root: Path, split: str, count: int, folder: Path) -> str:
    """A file of the first images with boxes of a split, and their annotations; its path."""
    content = json.loads((root / f"instances_{split}.json").read_text())
    records = AnnotationFile.read(root / f"instances_{split}.json", root / "images").images
    chosen = [record.image_id for record in records if len(record.labels)][:count]
    content["images"] = [image for image in content["images"] if image["id"] in chosen]
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] in chosen]
    path = folder / f"{split}.json"
    path.write_text(json.dumps(content))
    return str(path)


def shortened(recipe: str, root: Path, folder: Path) -> Config:
    """The recipe with two steps of one image each, and two images to evaluate."""
    data = {
        "root": str(root),
        "train_images": "images",
        "val_images": "images",
        "train_annotations": first_images(root, "train", 2, folder),
        "val_annotations": first_images(root, "val", 2, folder),
    }
    training = {"steps": 2, "batch_size": 1, "schedule_batch_size": None}
    changes = {
        "data": data,
        "model": {"backbone": {"weights": None}},
        "training": training,
        "inference": {"score_threshold": 0.0},  # all that a network has that has learned nothing
    }
    return build_config(merge(load_recipe(recipe), changes), recipe)


def with_boxes(*arguments: Any) -> CondInst:
    """A random network whose boxes are all at least a stride wide and high: there is something to evaluate."""
    model = build_model(*arguments)
    torch.nn.init.constant_(model.head.ltrb.bias, 1.0)
    return model


@pytest.mark.parametrize("recipe", GPU_RECIPES)
def test_a_recipe_trains_and_evaluates_at_full_size(
    recipe: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.initial.build_model", with_boxes)
    config = shortened(recipe, root, tmp_path)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    result = train(config, 0, Compute(device), folder=tmp_path / "run")
    assert result.curves[-1]["step"] == 2
    assert 0 < result.curves[-1]["loss/total"] < float("inf")
    found = result.evaluation
    assert 0 < len(found.mask_results) <= 2 * config.inference.max_detections
    sizes = {i["id"]: [i["height"], i["width"]] for i in json.loads((tmp_path / "val.json").read_text())["images"]}
    assert {one["image_id"] for one in found.mask_results} == set(sizes)
    assert all(one["segmentation"]["size"] == sizes[one["image_id"]] for one in found.mask_results)
    assert 0 <= found.metrics["box_AP"] <= 100


def moved_annotations(truth: COCO) -> tuple[list[dict], list[dict]]:
    """Box and mask results: the annotated instances and crowds, moved and in part of another class, some twice."""
    random = np.random.default_rng(0)
    categories = truth.getCatIds()
    boxes, masks = [], []
    for annotation in truth.loadAnns(truth.getAnnIds()):
        mask = truth.annToMask(annotation)
        for _ in range(random.integers(0, 3)):
            right, down = (int(shift) for shift in random.integers(0, 9, 2))
            moved = np.zeros_like(mask, order="F")
            moved[down:, right:] = mask[: mask.shape[0] - down, : mask.shape[1] - right]
            encoded = coco_mask.encode(moved)
            x, y, width, height = annotation["bbox"]
            of_class = annotation["category_id"] if random.random() < 0.8 else int(random.choice(categories))
            shared = {"image_id": annotation["image_id"], "category_id": of_class, "score": float(random.random())}
            boxes.append(shared | {"bbox": [x + right, y + down, width, height]})
            masks.append(shared | {"segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode()}})
    return boxes, masks


def test_fixed_detections_have_the_numbers_of_pycocotools(root: Path) -> None:
    path = root / "instances_val.json"
    boxes, masks = moved_annotations(COCO(str(path)))
    scores = coco_metrics(AnnotationFile.read(path, root / "images").content, boxes, masks)
    for kind, prefix, results in (("bbox", "box", boxes), ("segm", "mask", masks)):
        expected = 100 * pycocotools_statistics(path, results, kind)
        expected[expected < 0] = np.nan  # nothing to find
        numbers = scores.metrics | scores.recalls
        ours = [numbers[f"{prefix}_{key}"] for key in AP_KEYS + AR_KEYS]
        np.testing.assert_allclose(ours, expected, atol=1e-9)
        assert 10 < ours[0] < 90
