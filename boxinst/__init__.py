"""BoxInst as a library: instance segmentation learned from boxes.

`Predictor` runs a trained network on images; the losses train other networks than ours. What is named here is public
and stable; `core`, the method itself, may change with every version. Commands: `boxinst --help`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported below when first asked for: `boxinst --help` should not wait seconds for torch
    from boxinst.losses import Edges, Neighborhood, pairwise_loss, pairwise_warmup, projection_loss, supervised_edges
    from boxinst.predictor import BoxMasks, Prediction, Predictor

__all__ = [
    "BoxMasks",
    "Edges",
    "Neighborhood",
    "Prediction",
    "Predictor",
    "pairwise_loss",
    "pairwise_warmup",
    "projection_loss",
    "supervised_edges",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'boxinst' has no attribute '{name}', expected one of {', '.join(__all__)}")
    of_predictor = name in ("BoxMasks", "Prediction", "Predictor")
    return getattr(import_module("boxinst.predictor" if of_predictor else "boxinst.losses"), name)


def __dir__() -> list[str]:
    return __all__
