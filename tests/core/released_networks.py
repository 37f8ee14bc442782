"""The networks of the golden folder: their settings in our config, and AdelaiDet's checkpoints of synthetic weights."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.config import AssignmentConfig, BackboneConfig, Config, LossConfig, ModelConfig

GOLDEN_DIR = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parents[1] / "golden"))
NUM_CLASSES = 80
STATE_DICTS = ["boxinst", "condinst", "boxinst_r101", "boxinst_r50_bifpn", "boxinst_r101_bifpn_dcn"]


def specification(network: str) -> dict[str, Any]:
    """AdelaiDet's state dict of one of the `STATE_DICTS` without its values: names, shapes, kinds."""
    return json.loads((GOLDEN_DIR / f"state_dict_{network}.json").read_text())


def synthetic_tensors(network: str) -> dict[str, Tensor]:
    """AdelaiDet's state dict of one of the `STATE_DICTS`, of the golden folder's synthetic weights."""
    script = GOLDEN_DIR / "synthetic_weights.py"
    if not script.exists():  # another folder of records alone: the salt is in its json
        script = Path(__file__).parents[1] / "golden" / "synthetic_weights.py"
    spec = importlib.util.spec_from_file_location("synthetic_weights", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: torch.as_tensor(array) for name, array in module.synthetic_state_dict(specification(network)).items()}


def zeros(network: str) -> dict[str, Tensor]:
    """AdelaiDet's names and shapes, every tensor one zero seen many times: a small file."""
    tensors = specification(network)["state_dict"]
    return {tensor["name"]: torch.zeros(()).expand(tensor["shape"]) for tensor in tensors}


def config_of(name: str) -> Config:
    """AdelaiDet's settings of one of the `STATE_DICTS`, `_stride3x3` behind it for torchvision's bottlenecks."""
    backbone = BackboneConfig(
        name="resnet101" if "r101" in name else "resnet50",
        stride_in_1x1=not name.endswith("3x3"),
        # Its config says every third; but its BiFPN's trunk does not heed that.
        deformable_interval=1 if "dcn" in name else None,
    )
    pyramid = {"pyramid": "bifpn", "pyramid_channels": 160} if "bifpn" in name else {}
    if name.startswith("condinst"):
        return Config(
            model=ModelConfig(backbone=backbone, mask_feature_channels=8, **pyramid),
            assignment=AssignmentConfig(center="mask", selection="random", max_masks=500),
            loss=LossConfig(dice=1, projection=0, pairwise=0),
        )
    model = ModelConfig(backbone=backbone, **pyramid)
    return Config(model=model, assignment=AssignmentConfig(center="rasterized_box"), loss=LossConfig(dice=0))
