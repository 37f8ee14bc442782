"""Trainings of a tiny network on six generated images."""

import json
from pathlib import Path

import pytest

from core.compute.compute import Compute
from core.config import Config
from core.config.file import build_config
from core.datasets.sources.shapes import generate
from core.training.loop import TrainingResult, train

TINY = {
    "name": "tiny",
    "data": {
        "train_images": "train",
        "train_annotations": "instances_train.json",
        "val_images": "val",
        "val_annotations": "instances_val.json",
        "short_sides": [96],
        "val_short_side": 96,
        "long_side_max": 96,
        "ignored_bottom_rows": 0,
    },
    "model": {
        "backbone": {
            "name": "resnet18",
            "norm": "trained",
            "frozen_stages": 0,
            "stride_in_1x1": False,
            "channel_order": "RGB",
            "pixel_std": [58.0, 57.0, 57.0],
        },
        "levels": [3, 4, 5],
        "pyramid_channels": 32,
        "head_convs": 1,
        "head_groups": 8,
        "mask_branch_channels": 32,
        "mask_branch_convs": 1,
    },
    "assignment": {"size_boundaries": [48, 96]},
    "loss": {"pairwise_warmup": 0.5},
    "training": {"steps": None, "epochs": 4, "batch_size": 2, "optimizer": "adamw", "learning_rate": 1e-3,
                 "schedule": "one_cycle", "evaluate_every": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shapes") / "shapes"
    generate(folder, {"train": 6, "val": 2}, seed=7, size=96)
    return folder


def tiny(root: Path, **sections: dict) -> Config:
    settings = json.loads(json.dumps(TINY))
    settings["data"]["root"] = str(root)
    for section, difference in sections.items():
        settings.setdefault(section, {}).update(difference)
    return build_config(settings, "tiny")


def run(config: Config, folder: Path, seed: int = 0, **arguments) -> TrainingResult:
    return train(config, seed, Compute(), folder=folder, **arguments)


def comparable(result: TrainingResult) -> tuple[str, str]:
    """Curves and metrics without the clock; as text, so that NaN equals NaN."""
    curves = [{k: v for k, v in numbers.items() if k != "seconds"} for numbers in result.curves]
    return repr(curves), repr(result.evaluation.metrics)
