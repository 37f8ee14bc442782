"""What a training leaves in its checkpoint, and how it goes on from there."""

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
    """What a checkpoint holds: all that `resume` needs to go on, and the class names, for use of the network."""
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
    """Bring network and optimizer to where a checkpoint left them; the numbers of the epochs that lie behind.

    Without a checkpoint nothing changes, and there are none. `identity` and `images_per_step` are what it must have.

    Raises:
        ValueError: if the checkpoint belongs to another training, or to another number of images a step.
    """
    if not compute.workers.gather(checkpoint.exists())[0]:
        return []
    state = load_checkpoint(checkpoint, device=compute.device, **identity)
    if state["images_per_step"] != images_per_step:
        raise ValueError(
            f"{checkpoint}: written with {state['images_per_step']} images a step, expected {images_per_step} "
            "(batch_size x accumulation x workers); delete it to start over"
        )
    model.load_state_dict(state["model"])
    if len(state["curves"]) < epochs:  # a finished training may have dropped it
        optimizer.load_state_dict(state["optimizer"])
    return state["curves"]
