"""The training loop: batches, losses, optimizer steps, evaluation, checkpoint and exact resume.

Everything random is a function of (seed, epoch, image), and everything scheduled of the step, so a training that
was killed and resumed ends, on a CPU, equal to the bit to one that was not. CUDA's scatter and interpolation
kernels add in no fixed order: there, equal runs agree closely but not to the bit.
"""

import math
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from core.checkpoint import load_checkpoint, save_checkpoint
from core.config import Config, TrainingConfig
from core.datasets.coco import CocoDataset, collate, data_digest, load_training_set, load_validation_set
from core.evaluation import Evaluation, evaluate
from core.losses.criterion import Losses, criterion
from core.model.condinst import CondInst, build_model
from core.neighborhood import Neighborhood
from core.schedule import learning_rate
from core.structures import Batch
from core.targets.assignment import assign_locations, select_positives
from core.targets.mask_targets import build_mask_targets

NORMALIZATIONS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


@dataclass(frozen=True)
class TrainingResult:
    """A finished training: the network, its final evaluation and one dict of named numbers per epoch."""

    model: CondInst
    evaluation: Evaluation
    curves: list[dict[str, float | int]]
    seconds: float  # of training and evaluation, runs before a resume included
    peak_memory_mb: float  # of the process on a CPU, of the allocator on CUDA


def steps_per_epoch(num_images: int, batch_size: int) -> int:
    """Full batches of an epoch; a data set smaller than one batch gives one."""
    return max(num_images // batch_size, 1)


def total_steps(training: TrainingConfig, num_images: int) -> int:
    return training.steps or training.epochs * steps_per_epoch(num_images, training.batch_size)


def epoch_order(num_images: int, seed: int, epoch: int) -> list[int]:
    """Order of the images in `epoch` (from 0)."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(num_images, generator=generator).tolist()


def epoch_batches(dataset: Dataset, batch_size: int, seed: int, epoch: int, *, workers: int) -> Iterator[Batch]:
    order = epoch_order(len(dataset), seed, epoch)
    count = steps_per_epoch(len(dataset), batch_size)
    batches = [order[i * batch_size : (i + 1) * batch_size] for i in range(count)]
    return iter(DataLoader(dataset, batch_sampler=batches, collate_fn=collate, num_workers=workers))


def build_optimizer(model: nn.Module, training: TrainingConfig) -> torch.optim.Optimizer:
    """SGD or AdamW over the trainable parameters; normalization layers are not decayed (detectron2)."""
    norm_parameters = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, NORMALIZATIONS)
        for parameter in module.parameters(recurse=False)
    }
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if id(p) not in norm_parameters], "weight_decay": training.weight_decay},
        {"params": [p for p in trainable if id(p) in norm_parameters], "weight_decay": 0.0},
    ]
    if training.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)
    return torch.optim.SGD(groups, lr=training.learning_rate, momentum=training.momentum)


def autocast(precision: str, device: str) -> Any:
    """Context in which the network computes: bfloat16 where the recipe says so."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(torch.device(device).type, dtype=torch.bfloat16)


def compute_losses(model: CondInst, batch: Batch, config: Config, *, step: int, steps: int, seed: int) -> Losses:
    """Named losses of one batch: predict, assign, pick the locations that get a mask, score."""
    with autocast(config.training.precision, str(batch.images.device)):
        predictions = model(batch.images, batch.image_sizes)
    neighborhood = Neighborhood(config.loss.neighborhood_size, config.loss.neighborhood_dilation)
    with torch.no_grad():
        assignment = assign_locations(
            predictions.locations,
            predictions.level_index,
            predictions.strides,
            batch.annotations,
            size_boundaries=config.assignment.size_boundaries,
            center_radius=config.assignment.center_radius,
            center=config.assignment.center,
        )
        selection = select_positives(
            assignment,
            predictions.class_logits,
            predictions.centerness_logits,
            batch.annotations,
            selection=config.assignment.selection,
            max_masks=config.assignment.max_masks,
            generator=torch.Generator().manual_seed(seed * 1_000_003 + step),
        )
        targets = build_mask_targets(
            batch,
            neighborhood,
            config.loss.color_threshold,
            config.loss.color_temperature,
            needs_edges=config.loss.pairwise > 0,
        )
    with autocast(config.training.precision, str(batch.images.device)):
        mask_logits = model.predict_masks(predictions, selection.image_index, selection.location_index)
    return criterion(
        predictions,
        mask_logits,
        assignment,
        selection,
        targets,
        neighborhood,
        dice_weight=config.loss.dice,
        projection_weight=config.loss.projection,
        pairwise_weight=config.loss.pairwise,
        box_mask_weight=config.loss.box_mask,
        focal_alpha=config.loss.focal_alpha,
        focal_gamma=config.loss.focal_gamma,
        step=step,
        warmup_steps=round(config.loss.pairwise_warmup * steps),
    )


def train_step(
    model: CondInst, optimizer: torch.optim.Optimizer, batch: Batch, config: Config, *, step: int, steps: int, seed: int
) -> Losses:
    """One optimizer step.

    Raises:
        FloatingPointError: if a loss is not finite; names the term and the images.
    """
    rate = learning_rate(step, steps, config.training)
    for group in optimizer.param_groups:
        group["lr"] = rate
    losses = compute_losses(model, batch, config, step=step, steps=steps, seed=seed)
    if not torch.isfinite(losses.total):
        bad = [name for name, value in losses.weighted.items() if not torch.isfinite(value)]
        raise FloatingPointError(f"step {step}: loss {', '.join(bad)} is not finite, images {batch.image_ids}")
    optimizer.zero_grad(set_to_none=True)
    losses.total.backward()
    if config.training.clip_gradient_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), config.training.clip_gradient_norm)
    optimizer.step()
    return losses


def peak_memory_mb(device: str) -> float:
    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def train(
    config: Config,
    seed: int,
    *,
    device: str = "cpu",
    folder: Path,
    on_epoch: Callable[[dict[str, float | int]], None] | None = None,
    workers: int = 0,
    progress: bool = True,
) -> TrainingResult:
    """Train by `config` and evaluate; a checkpoint in `folder` is gone on from, else training starts there.

    `on_epoch` gets one dict per finished epoch, those before a resume included: epoch (from 1), epochs, step,
    learning_rate, pairwise_warmup, edges_kept, seconds, `loss/<term>` (weighted) and `loss/<term>_unweighted` as
    means over the epoch, and the metrics where the epoch ended with an evaluation.

    Raises:
        ValueError: for data or a checkpoint that do not fit the config.
        FloatingPointError: if a loss is not finite; names the term.
    """
    training_set = load_training_set(config.data, config.supervision, seed)
    validation_set = load_validation_set(config.data)
    digest = data_digest(config.data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(config.model, training_set.num_classes)
    model = model.to(device, memory_format=torch.channels_last)
    optimizer = build_optimizer(model, config.training)
    steps = total_steps(config.training, len(training_set))
    epochs = -(-steps // steps_per_epoch(len(training_set), config.training.batch_size))
    report = on_epoch or (lambda numbers: None)

    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    identity = {"config": config, "seed": seed, "data_digest": digest}
    curves: list[dict[str, float | int]] = []
    if checkpoint.exists():
        state = load_checkpoint(checkpoint, device=device, **identity)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        curves = state["curves"]
        for numbers in curves:
            report(numbers)

    evaluation = None
    for epoch in range(len(curves), epochs):
        started = time.perf_counter()
        numbers = run_epoch(
            model, optimizer, training_set, config, epoch=epoch, steps=steps, seed=seed, device=device,
            workers=workers, progress=progress,
        )  # fmt: skip
        every = config.training.evaluate_every
        last = epoch + 1 == epochs
        if last or (every and (epoch + 1) % every == 0):
            evaluation = evaluate_model(model, validation_set, config, device=device, progress=progress)
            numbers |= evaluation.metrics
        seconds = time.perf_counter() - started + (curves[-1]["seconds"] if curves else 0.0)
        curves.append({"epoch": epoch + 1, "epochs": epochs, "seconds": seconds} | numbers)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "curves": curves}
        save_checkpoint(checkpoint, state, **identity)
        report(curves[-1])
    if evaluation is None:  # resumed after the last epoch
        evaluation = evaluate_model(model, validation_set, config, device=device, progress=progress)
    return TrainingResult(model, evaluation, curves, curves[-1]["seconds"], peak_memory_mb(device))


def evaluate_model(
    model: CondInst, dataset: CocoDataset, config: Config, *, device: str, progress: bool
) -> Evaluation:
    return evaluate(
        model, dataset, config.inference, device=device, precision=config.training.precision, progress=progress
    )


def run_epoch(
    model: CondInst,
    optimizer: torch.optim.Optimizer,
    dataset: CocoDataset,
    config: Config,
    *,
    epoch: int,
    steps: int,
    seed: int,
    device: str,
    workers: int,
    progress: bool,
) -> dict[str, float | int]:
    """Train one epoch (from 0) and return its numbers: mean losses, schedule values after its last step."""
    model.train()
    dataset.set_epoch(epoch)
    first = epoch * steps_per_epoch(len(dataset), config.training.batch_size)
    batches = epoch_batches(dataset, config.training.batch_size, seed, epoch, workers=workers)
    sums: dict[str, torch.Tensor | float] = {}
    step = first
    bar = tqdm(batches, total=min(steps_per_epoch(len(dataset), config.training.batch_size), steps - first),
               desc=f"epoch {epoch + 1}", leave=False, disable=not progress)  # fmt: skip
    for batch in bar:
        if step == steps:
            break
        batch = batch.to(device)
        losses = train_step(model, optimizer, batch, config, step=step, steps=steps, seed=seed)
        for name, value in loss_values(losses).items():
            sums[name] = sums.get(name, 0.0) + value
        step += 1
    return {
        "step": step,
        "learning_rate": learning_rate(step - 1, steps, config.training),
        "pairwise_warmup": losses.pairwise_warmup,
        **{name: float(total) / (step - first) for name, total in sums.items()},
    }


def loss_values(losses: Losses) -> dict[str, torch.Tensor | float]:
    """What is averaged over an epoch: each term with and without its weight, the total, the share of edges kept."""
    kept = {} if math.isnan(losses.edges_kept) else {"edges_kept": losses.edges_kept}
    return {
        **{f"loss/{name}": value.detach().double() for name, value in losses.weighted.items()},
        **{f"loss/{name}_unweighted": value.detach().double() for name, value in losses.unweighted.items()},
        "loss/total": losses.total.detach().double(),
        **kept,
    }
