"""Mutated COCO annotation files: read, checked and sampled as in a training, scored as in an evaluation."""

import contextlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools import mask as coco_mask

from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets import masks
from core.datasets.annotation_file import AnnotationFile
from core.datasets.batch import collate
from core.datasets.check.__main__ import check
from core.datasets.coco import CocoDataset
from core.datasets.digest import data_digest
from core.datasets.layout import Layout
from core.evaluation.coco_metrics import coco_metrics, found_annotations
from core.model.build import build_model
from core.record import Record
from core.training.data_sets import build_data_sets
from core.training.step import compute_losses
from experiments.pictures import draw_annotations
from tests.fuzz.kind import Kind
from tests.fuzz.mutations import as_json, mutated_bytes, mutated_tree

WIDTH, HEIGHT = 40, 24
NUM_IMAGES = 3
FILE = "instances.json"
RECIPE = "tiny"
STEPS = 4
# What a training may ask of the annotations: (mask_ratio and more of the supervision, terms, network, data)
BOXES = {"supervision": {"mask_ratio": 0}}
ARMS: tuple[dict[str, Any], ...] = (
    BOXES,
    {"supervision": {"mask_ratio": 1}, "loss": {"mask_projection": 1, "mask_pairwise": 1, "pairwise_warmup": 0}},
    {"supervision": {"mask_ratio": 0.5}, "assignment": {"center": "mask"}, "data": {"scale_range": [0.5, 2]}},
    {"supervision": {"mask_ratio": 1, "mask_categories": ["dog"]}, "assignment": {"center": "rasterized_box"}},
    {"supervision": {"mask_ratio": 1}, "model": {"semantic_head": True}, "data": {"color_jitter": 0.5}},
    {"supervision": {"mask_ratio": 0.5, "pseudo_masks": {"file": FILE}}},  # its own masks, as from elsewhere
)


def valid_content() -> dict[str, Any]:
    """Three images with every kind of segmentation: none, an empty one, polygons, encodings, a crowd."""
    rectangle = [[4, 8, 20, 8, 20, 16, 4, 16]]
    two_parts = [[1.5, 2, 9, 2, 9, 7.25], [20, 3, 30, 3, 30, 9, 20, 9]]
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    pixels[8:16, 4:20] = 1
    compressed = coco_mask.encode(pixels)
    compressed = {"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()}
    runs = {"size": [HEIGHT, WIDTH], "counts": [100, 8, 16, 8, HEIGHT * WIDTH - 132]}
    shapes = [(1, 3, rectangle), (1, 9, two_parts), (1, 3, None), (2, 3, compressed), (2, 9, runs), (2, 9, [])]
    annotations: list[dict[str, Any]] = [
        {"id": i, "image_id": image, "category_id": category, "bbox": [4, 8, 16, 8], "iscrowd": 0, "area": 128}
        | ({} if segmentation is None else {"segmentation": segmentation})
        for i, (image, category, segmentation) in enumerate(shapes, 1)
    ]
    annotations[1]["bbox"] = [1.5, 2, 28.5, 7]
    annotations.append(annotations[4] | {"id": 7, "iscrowd": 1})
    return {
        "info": {"description": "three images"},
        "images": [
            {"id": i, "file_name": f"{i}.png", "width": WIDTH, "height": HEIGHT} for i in range(1, NUM_IMAGES + 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 9, "name": "cat"}, {"id": 3, "name": "dog", "supercategory": "animal"}],
    }


@dataclass(frozen=True)
class DataSets:
    """What a training holds of the file."""

    config: Config
    file: AnnotationFile
    training: CocoDataset
    validation: CocoDataset
    folder: Path


class Annotations(Kind):
    name = "annotations"
    count = 20_000

    def __init__(self, folder: Path) -> None:
        self.photos = folder / "photos"
        self.photos.mkdir(parents=True)
        for i in range(1, NUM_IMAGES + 1):
            pixels = np.random.default_rng(i).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.photos / f"{i}.png")
        without_masks = valid_content()
        for annotation in without_masks["annotations"]:
            annotation.pop("segmentation", None)
        without_masks["annotations"].pop()  # the crowd
        with_masks = valid_content()
        with_masks["annotations"] = [a for a in with_masks["annotations"] if a.get("segmentation")]
        self.contents = (valid_content(), with_masks, without_masks)  # the last trains on boxes only
        self.arm = 0

    def write(self, draw: Random, folder: Path) -> Path:
        self.link_photos(folder)
        content = draw.choice(self.contents)
        self.arm = 0 if content is self.contents[-1] else draw.randrange(len(ARMS))
        path = folder / FILE
        if draw.random() < 0.25:
            path.write_bytes(mutated_bytes(draw, as_json(content)))
        else:
            path.write_bytes(as_json(mutated_tree(draw, content)))
        return path

    def link_photos(self, folder: Path) -> None:
        for split in ("train", "val"):
            if not (folder / split).exists():
                (folder / split).symlink_to(self.photos, target_is_directory=True)

    def read(self, path: Path) -> DataSets:
        root = path.parent
        config = arm_config(ARMS[self.arm], root)
        try:
            file = AnnotationFile.read(path, root / "train")
            training, validation = build_data_sets(config, 0, file, file)
            data_digest(file, file)
        except ValueError as error:
            if ARMS[self.arm] is BOXES and passes_check(path):
                raise AssertionError(f"core.datasets.check finds no problem, a training does: {error}") from error
            raise
        return DataSets(config, file, training, validation, root)

    def use(self, content: DataSets) -> None:
        passes_check(content.file.path)
        train_steps(content)
        metrics_of(content)
        draw_annotations(content.validation, content.folder / "pictures")


def arm_config(arm: dict[str, Any], root: Path) -> Config:
    files = {"root": str(root), "train_annotations": FILE, "val_annotations": FILE, "val_short_side": 32}
    settings = merge(load_recipe(RECIPE), {"data": files | {"short_sides": [32], "long_side_max": 64}})
    return build_config(merge(settings, arm), "arm")


def passes_check(path: Path) -> bool:
    """Whether the command that checks a data set finds no problem; what it prints can be encoded."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(io.StringIO()):  # and its progress bar
        status = check(path.parent, Layout(path.name, "train", path.name, "val"), RECIPE)
    text.getvalue().encode()
    return status == 0


@lru_cache(maxsize=4)
def network(model_config: Any, num_classes: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(model_config, num_classes)


def train_steps(sets: DataSets) -> None:
    """The losses of every image in two epochs, which must be finite."""
    model = network(sets.config.model, sets.training.num_classes)
    for epoch in range(2):
        sets.training.set_epoch(epoch)
        batch = collate([sets.training[i] for i in range(len(sets.training))])
        losses = compute_losses(model, batch, sets.config, step=epoch, steps=STEPS, batch_seed=epoch)
        losses.total.backward()
        if not torch.isfinite(losses.total):
            raise FloatingPointError(f"losses are {losses.weighted}")


def metrics_of(sets: DataSets) -> None:
    """Score detections that repeat the annotations, and put the result into a record."""
    boxes, encodings = [], []
    for index, record in enumerate(sets.validation.records):
        image_id = sets.validation[index].image_id
        for i, label in enumerate(record.labels.tolist()):
            x1, y1, x2, y2 = record.boxes[i].tolist()
            segmentation = record.segmentations[i]
            outline = [[x1, y1, x2, y1, x2, y2, x1, y2]]
            used = segmentation if masks.has_area(segmentation) else outline
            mask = masks.encode(used, record.height, record.width)
            counts = mask["counts"] if isinstance(mask["counts"], str) else mask["counts"].decode()
            found = {"image_id": image_id, "category_id": sets.file.category_ids[label], "score": 0.9}
            boxes.append(found | {"bbox": [x1, y1, x2 - x1, y2 - y1]})
            encodings.append(found | {"segmentation": {"size": [record.height, record.width], "counts": counts}})
    ids = {"image_ids": sets.validation.image_ids, "category_ids": sets.validation.category_ids}
    scores = coco_metrics(sets.file.content, boxes, encodings, **ids)
    found_annotations(sets.file.content, encodings, **ids)
    per_class = {
        name: scores.per_category[id_] for name, id_ in zip(sets.file.categories, sets.file.category_ids, strict=True)
    }
    if len(per_class) != len(sets.file.categories):
        raise KeyError(f"two classes of one name: {sets.file.categories}")
    record = Record(
        key="0" * 16,
        status="ok",
        reason="",
        config=sets.config.model_dump(mode="json"),
        seed=0,
        data_digest="0",
        code="0",
        metrics=scores.metrics,
        per_class=per_class,
        curves=[],
        pictures=[],
    )
    record.to_json().encode()
