"""One training step: predict, assign, select locations for masks, compute losses, average over workers, update."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from core.compute.precision import autocast
from core.compute.workers import ALONE, Workers
from core.config import Config
from core.losses.criterion import Losses, Outputs, Targets, criterion, region_criterion
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.ema_teacher import EmaTeacher
from core.structures import Batch
from core.targets.assignment import assign, select_positives
from core.targets.mask_targets import build_mask_targets
from core.training.finite import AT_ONCE, FiniteChecks
from core.training.optimizer import learning_rate


def compute_losses(
    model: CondInst | MaskRcnn,
    batch: Batch,
    config: Config,
    *,
    step: int,
    steps: int,
    batch_seed: int,
    workers: Workers = ALONE,
    teacher: EmaTeacher | None = None,
) -> Losses:
    """Losses of a batch: predict, assign, select the locations that get a mask, apply the criterion.

    Random draws depend only on `batch_seed`. A config with `supervision.ema_teacher` needs its `teacher`.
    """
    if isinstance(model, MaskRcnn):
        return mask_rcnn_losses(model, batch, config, step=step, steps=steps, batch_seed=batch_seed, workers=workers)
    with autocast(config.training.precision, batch.images.device):
        predictions = model(batch.images, batch.image_sizes)
    with torch.no_grad():
        assignment = assign(predictions, batch.annotations, config.assignment)
        selection = select_positives(
            assignment,
            predictions.class_logits,
            predictions.centerness_logits,
            batch.annotations,
            selection=config.assignment.selection,
            max_masks=config.assignment.max_masks,
            generator=torch.Generator().manual_seed(batch_seed),
        )
        mask_targets = build_mask_targets(batch, config.loss)
        if teacher is not None:
            mask_targets = replace(mask_targets, ema_masks=teacher.labels(batch, mask_targets, step=step, steps=steps))
    with autocast(config.training.precision, batch.images.device):
        chosen = (selection.image_index, selection.location_index, selection.num_per_image)
        mask_logits = model.predict_masks(predictions, *chosen)
    outputs, targets = Outputs(predictions, selection, mask_logits), Targets(assignment, mask_targets)
    return criterion(outputs, targets, config.loss, step=step, steps=steps, workers=workers)


class BatchLosses(nn.Module):
    """`compute_losses` of a network as a module: all that a step computes forward, which `Workers.parallel` wraps."""

    def __init__(self, model: CondInst | MaskRcnn, config: Config) -> None:
        super().__init__()
        self.model = model
        self.config = config

    def forward(self, batch: Batch, **position: Any) -> Losses:
        return compute_losses(self.model, batch, self.config, **position)


def mask_rcnn_losses(
    model: MaskRcnn, batch: Batch, config: Config, *, step: int, steps: int, batch_seed: int, workers: Workers = ALONE
) -> Losses:
    """Losses of a batch; torchvision samples with torch's global generators, which are seeded here."""
    device = batch.images.device
    with (
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        autocast(config.training.precision, device),
    ):
        torch.manual_seed(batch_seed)
        terms, masks = model.losses(batch.images, batch.image_sizes, batch.annotations)
    with torch.no_grad():
        targets = build_mask_targets(batch, config.loss)
    return region_criterion(terms, masks, targets, config.loss, step=step, steps=steps, workers=workers)


def train_step(
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    config: Config,
    *,
    step: int,
    steps: int,
    seed: int,
    workers: Workers = ALONE,
    checks: FiniteChecks = AT_ONCE,
    batch_losses: nn.Module | None = None,
    teacher: EmaTeacher | None = None,
) -> list[Losses]:
    """One optimizer step on the mean gradient over these batches and all workers; returns the losses of each batch.

    A `teacher` labels the boxes first, and follows the network in the end.
    Several workers need `batch_losses`, what `Workers.parallel` makes of `BatchLosses`, once for a training.

    Raises:
        FloatingPointError: if a loss is not finite; names the step, the term and the images. `checks` may find it only
            in the next step, or at their end.
    """
    rate = learning_rate(step, steps, config.training)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    if batch_losses is None:
        batch_losses = BatchLosses(model, config)
    assert workers.count == 1 or isinstance(batch_losses, DistributedDataParallel)
    losses_of = []
    for i, batch in enumerate(batches):
        count = (step * len(batches) + i) * workers.count + workers.rank  # index among all batches of the training
        of_batch = {"step": step, "steps": steps, "batch_seed": seed * 1_000_003 + count, "workers": workers}
        of_batch["teacher"] = teacher
        accumulates = workers.count > 1 and i < len(batches) - 1
        with batch_losses.no_sync() if accumulates else nullcontext():
            losses = batch_losses(batch, **of_batch)
            checks.add(losses, step, batch.image_ids)
            (losses.total / len(batches)).backward()
        losses_of.append(losses)
    if config.training.clip_gradient_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), config.training.clip_gradient_norm)
    optimizer.step()
    if teacher is not None:
        teacher.update(step, workers)
    return losses_of
