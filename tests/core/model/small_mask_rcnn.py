"""A small Mask R-CNN, four generated images, and trainings on them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import nn

from core.compute.compute import Compute
from core.config import Config
from core.config.file import build_config
from core.datasets.batch import collate
from core.datasets.coco import load_training_set
from core.datasets.sources.shapes import generate
from core.model.build import build_model
from core.model.mask_rcnn import MaskRcnn
from core.structures import Annotations, Batch
from core.training.loop import TrainingResult, train

TERMS = ["rpn_class", "rpn_box", "class", "box", "mask"]
MASKS = {"dice": 1.0, "projection": 0.0, "pairwise": 0.0}
NOTHING = Annotations(
    boxes=torch.zeros(0, 4),
    labels=torch.zeros(0, dtype=torch.int64),
    has_mask=torch.zeros(0, dtype=torch.bool),
    masks=torch.zeros(0, 24, 24, dtype=torch.bool),
    mask_centroids=torch.zeros(0, 2),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(folder, {"train": 4, "val": 4}, seed=7, size=96)
    return folder


def config_of(
    root: Path,
    *,
    precision: str = "float32",
    epochs: int = 2,
    loss: Mapping[str, float] = MASKS,
    **supervision,
) -> Config:
    settings = {
        "data": {
            "root": str(root),
            "train_images": "train",
            "train_annotations": "instances_train.json",
            "val_images": "val",
            "val_annotations": "instances_val.json",
            "short_sides": [96],
            "val_short_side": 96,
            "flip_probability": 0.0,
            "ignored_bottom_rows": 0,
        },
        "supervision": {"mask_ratio": 1.0} | supervision,
        "loss": dict(loss),
        "model": {
            "architecture": "mask_rcnn",
            "backbone": {
                "name": "timm:test_resnet",
                "norm": "trained",
                "frozen_stages": 0,
                "channel_order": "RGB",
                "pixel_std": [58.0, 57.0, 57.0],
            },
            "levels": [3, 4, 5],
            "pyramid_channels": 32,
        },
        "assignment": {"size_boundaries": [48, 96]},
        "training": {
            "steps": None,
            "epochs": epochs,
            "batch_size": 4,
            "optimizer": "adamw",
            "learning_rate": 2e-3,
            "schedule": "one_cycle",
            "precision": precision,
        },
    }
    return build_config(settings, "test")


def batch_of(config: Config) -> Batch:
    dataset = load_training_set(config.data, config.supervision, seed=0)
    return collate([dataset[i] for i in range(4)])


def model_of(config: Config) -> MaskRcnn:
    torch.manual_seed(0)
    model = build_model(config.model, 4)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm starts the last of each block at 0: its convolutions stand still
            nn.init.ones_(module.weight)
    return model


def run(config: Config, folder: Path, **arguments) -> TrainingResult:
    return train(config, 0, Compute(), folder=folder, digest="d", **arguments)


def comparable(result: TrainingResult) -> tuple[str, str]:
    curves = [{name: value for name, value in epoch.items() if name != "seconds"} for epoch in result.curves]
    return repr(curves), repr(result.evaluation.metrics)
