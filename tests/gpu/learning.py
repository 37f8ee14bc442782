"""A short BoxInst training, from photos to mask AP: recipe `people` on generated shapes of its size, boxes only."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.compute.compute import Compute
from core.compute.device import peak_memory_mb
from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets.sources.shapes import generate
from core.training.loop import train


@dataclass(frozen=True)
class Length:
    """How long to train, on how large images, and the mask AP (percent) that must be exceeded."""

    steps: int
    num_images: int
    side: int  # px
    mask_ap: float


# Measured with seed 0 and bfloat16 on one CPU thread: mask AP 55.4 (box AP 57.6), and 24.8 (25.8) for the small one.
LENGTH = Length(steps=300, num_images=400, side=256, mask_ap=45.0)
SMALL = Length(steps=150, num_images=240, side=160, mask_ap=12.0)
NUM_VALIDATION_IMAGES = 40


def learning(device: str, *, small: bool, data_root: Path | None, processes: int) -> dict[str, Any]:
    """Train and evaluate; `passed` says whether the mask AP is as high as it must be.

    `data_root` replaces the generated shapes by a folder with `instances_train.json`, `instances_val.json` and their
    photos in `images/` or `train/` and `val/`.
    """
    length = SMALL if small else LENGTH
    with tempfile.TemporaryDirectory() as temporary:
        if data_root is None:
            data_root = Path(temporary) / "shapes"
            generate(data_root, {"train": length.num_images, "val": NUM_VALIDATION_IMAGES}, size=length.side)
        config = _config(data_root, length)
        compute = Compute(device, loader_processes=processes)
        result = train(config, 0, compute, folder=Path(temporary) / "run")
    evaluation = result.evaluation
    trained = result.curves[-1]
    return {
        "passed": evaluation.metrics["mask_AP"] > length.mask_ap,
        "mask_AP": evaluation.metrics["mask_AP"],
        "mask_AP_required": length.mask_ap,
        "box_AP": evaluation.metrics["box_AP"],
        "steps": trained["step"],
        "batch_size": config.training.batch_size,
        "side": length.side,
        "seconds_of_training": result.seconds,
        "images_per_second": trained["step"] * config.training.batch_size / result.seconds,
        "loss_of_last_epoch": trained["loss/total"],
        "peak_memory_mb": peak_memory_mb(device),
    }


def _config(root: Path, length: Length) -> Config:
    data: dict[str, Any] = {
        "root": str(root),
        "short_sides": [length.side],
        "long_side_max": length.side,
        "val_short_side": length.side,
    }
    if (root / "train").is_dir():
        data |= {"train_images": "train", "val_images": "val", "ignored_bottom_rows": 0}
    changes = {
        "data": data,
        "supervision": {"mask_ratio": 0},
        "loss": {"dice": 0},
        "training": {"epochs": None, "steps": length.steps, "evaluate_every": None},
    }
    return build_config(merge(load_recipe("people"), changes), "recipe people")
