"""The training state in a checkpoint, and how to resume from it."""

from pathlib import Path
from typing import Any

import torch

from core.checkpoints.checkpoint import load_checkpoint
from core.compute.compute import Compute
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn


def state_of(
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    curves: list[dict[str, float | int]],
    categories: list[str],
    images_per_step: int,
) -> dict[str, Any]:
    """The state saved in a checkpoint: everything that `resume` needs, and the class names for later use."""
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curves": curves,
        "categories": categories,
        "images_per_step": images_per_step,
    }


def resume(
    checkpoint: Path,
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    compute: Compute,
    *,
    epochs: int,
    images_per_step: int,
    identity: dict[str, Any],
) -> list[dict[str, float | int]]:
    """Restore network and optimizer from a checkpoint; returns the numbers of the finished epochs.

    Without a checkpoint nothing changes, and the list is empty. The checkpoint must match `identity` and
    `images_per_step`.

    Raises:
        ValueError: if the checkpoint belongs to another training, or to another number of images per step.
    """
    if not compute.workers.gather(checkpoint.exists())[0]:
        return []
    state = load_checkpoint(checkpoint, device=compute.device, **identity)
    if state["images_per_step"] != images_per_step:
        raise ValueError(
            f"{checkpoint}: written with {state['images_per_step']} images per step, expected {images_per_step} "
            "(batch_size x accumulation x workers); delete it to start over"
        )
    model.load_state_dict(state["model"])
    if len(state["curves"]) < epochs:  # a finished training may have removed it
        optimizer.load_state_dict(state["optimizer"])
    return state["curves"]
