"""A predictor of a random network, and noise to find instances in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from boxinst import Predictor
from core.checkpoints.checkpoint import save_checkpoint
from core.config.file import build_config
from core.model.build import build_model
from tests.core.annotate import photos

SETTINGS = photos.SETTINGS | {
    "data": {"val_short_side": 64, "long_side_max": 128},
    "inference": {"score_threshold": 0.0, "max_detections": 100},
}
MASK_RCNN = {"architecture": "mask_rcnn", "levels": [3, 4, 5, 6, 7]}


def write_checkpoint(folder: Path, **model: Any) -> Path:
    """A random network of two classes that finds a dozen instances in noise, with masks of all kinds."""
    settings = SETTINGS | {"model": SETTINGS["model"] | model}
    if "levels" in model:
        settings["assignment"] = {"size_boundaries": [32, 64, 128, 256]}
    config = build_config(settings, "test")
    torch.manual_seed(0)
    network = build_model(config.model, 2)
    for name, parameter in network.named_parameters():
        if not name.startswith("backbone") and parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.1)
    state = {"model": network.state_dict(), "categories": ["cat", "dog"], "curves": []}
    save_checkpoint(folder / "checkpoint.pt", state, config=config, seed=0, data_digest="d")
    return folder / "checkpoint.pt"


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predictor")
    write_checkpoint(folder)
    (folder / "photos").mkdir()
    Image.fromarray(noise(80, 120)).save(folder / "photos" / "a.png")
    return folder


@pytest.fixture(scope="module")
def predictor(folder: Path) -> Predictor:
    return Predictor(folder / "checkpoint.pt", device="cpu")
