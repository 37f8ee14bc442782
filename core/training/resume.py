"""The training state in a checkpoint, and how to resume from it: after an epoch, or after a step within one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from core.checkpoints.checkpoint import load_checkpoint
from core.checkpoints.state import EMA_TEACHER, load_tensors, network_tensors
from core.compute.compute import Compute
from core.config import TrainingConfig
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.ema_teacher import EmaTeacher
from core.training.epoch import EpochProgress
from core.training.saved_state import Curves, checked_curves, checked_progress, load_optimizer


def state_of(
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    curves: Curves,
    categories: list[str],
    category_ids: list[int],
    images_per_step: int,
    progress: EpochProgress,
    teacher: EmaTeacher | None = None,
) -> dict[str, Any]:
    """The state saved in a checkpoint: everything that `resume` needs, and the classes for later use.

    `progress` is that of the epoch after the finished ones.
    """
    of_teacher = {} if teacher is None else {EMA_TEACHER: teacher.model.state_dict()}
    return of_teacher | {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "curves": curves,
        "categories": categories,
        "category_ids": category_ids,
        "images_per_step": images_per_step,
        "progress": progress.state(),
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
    continues: Callable[[TrainingConfig, dict[str, Any]], bool] = lambda training, state: False,
    teacher: EmaTeacher | None = None,
) -> tuple[Curves, EpochProgress]:
    """Restore network and optimizer from a checkpoint; returns the finished epochs and the progress of the next one.

    A `teacher` is restored, too. Without a checkpoint nothing changes, and both are empty. The checkpoint must match
    `identity` and `images_per_step`; `continues` as in `load_checkpoint`.

    Raises:
        ValueError: if the checkpoint is damaged, belongs to another training or another number of images per step, or
            does not fit the network.
        OtherLengthError: if it belongs to a training of another length that this one does not continue.
    """
    if not compute.workers.gather(checkpoint.exists())[0]:
        return [], EpochProgress()
    state = load_checkpoint(checkpoint, device=compute.device, continues=continues, **identity)
    try:
        schedule = {"epochs": epochs, "images_per_step": images_per_step}
        return _restored(state, checkpoint, model, optimizer, teacher, **schedule)
    except ValueError as error:
        raise ValueError(f"{error}; delete it to start over") from error


def _restored(
    state: dict[str, Any],
    checkpoint: Path,
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    teacher: EmaTeacher | None,
    *,
    epochs: int,
    images_per_step: int,
) -> tuple[Curves, EpochProgress]:
    written_with = state.get("images_per_step")
    if not isinstance(written_with, int) or written_with != images_per_step:
        raise ValueError(
            f"{checkpoint}: written with {written_with!r:.20} images per step, expected "
            f"{images_per_step} (batch_size x accumulation x workers)"
        )
    load_tensors(model, network_tensors(state, checkpoint), checkpoint)
    try:
        curves, progress = checked_curves(state.get("curves")), checked_progress(state.get("progress"))
        if len(curves) < epochs:  # a finished training may have removed it
            load_optimizer(optimizer, state.get("optimizer"))
    except ValueError as error:
        raise ValueError(f"{checkpoint}: {error}") from None
    if teacher is not None and len(curves) < epochs:
        load_tensors(teacher.model, network_tensors(state, checkpoint, EMA_TEACHER), checkpoint)
    return [numbers | {"epochs": epochs} for numbers in curves], progress  # other epochs: of a training it continues
