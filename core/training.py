"""The training loop: batches, losses, optimizer steps, evaluation, checkpoint and exact resume.

Everything random is a function of (seed, epoch, image), and everything scheduled of the step, so a training that
was killed and resumed ends, on a CPU, equal to the bit to one that was not. CUDA's scatter and interpolation
kernels add in no fixed order: there, equal runs agree closely but not to the bit.
"""

import math
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from core.checkpoint import load_checkpoint, save_checkpoint
from core.config import Config, TrainingConfig
from core.datasets.coco import CocoDataset, collate, load_training_set, load_validation_set
from core.datasets.digest import data_digest
from core.evaluation import Evaluation, evaluate
from core.losses.criterion import Losses
from core.model.condinst import CondInst, build_model
from core.optimizer import build_optimizer, learning_rate
from core.structures import Batch
from core.training_step import train_step


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
    digest: str | None = None,
    on_epoch: Callable[[dict[str, float | int]], None] | None = None,
    workers: int = 0,
    progress: bool = True,
) -> TrainingResult:
    """Train by `config` and evaluate; a checkpoint in `folder` is gone on from, else training starts there.

    The checkpoint belongs to the data of this `digest`, by default `data_digest` (which reads every image).
    `on_epoch` gets one dict per finished epoch, those before a resume included: epoch (from 1), epochs, step,
    learning_rate, pairwise_warmup, edges_kept, seconds, `loss/<term>` (weighted) and `loss/<term>_unweighted` as
    means over the epoch, and the metrics where the epoch ended with an evaluation.

    Raises:
        ValueError: for data or a checkpoint that do not fit the config.
        FloatingPointError: if a loss is not finite; names the term.
    """
    training_set = load_training_set(config.data, config.supervision, seed)
    validation_set = load_validation_set(config.data)
    check_same_categories(training_set, validation_set)
    check_something_to_learn(training_set, config)
    digest = digest or data_digest(config.data)
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
        curves = state["curves"]
        if len(curves) < epochs:  # a finished training may have dropped it
            optimizer.load_state_dict(state["optimizer"])
        for numbers in curves:
            report(numbers)

    evaluation = None
    for epoch in range(len(curves), epochs):
        started = time.perf_counter()
        numbers = run_epoch(
            model,
            optimizer,
            training_set,
            config,
            epoch=epoch,
            steps=steps,
            seed=seed,
            device=device,
            workers=workers,
            progress=progress,
        )
        every = config.training.evaluate_every
        last = epoch + 1 == epochs
        if last or (every and (epoch + 1) % every == 0):
            evaluation = evaluate_model(model, validation_set, config, device=device, progress=progress)
            numbers |= evaluation.metrics
        seconds = time.perf_counter() - started + (curves[-1]["seconds"] if curves else 0.0)
        curves.append({"epoch": epoch + 1, "epochs": epochs, "seconds": seconds} | numbers)
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "curves": curves,
            "categories": training_set.categories,
        }
        save_checkpoint(checkpoint, state, **identity)
        report(curves[-1])
    if evaluation is None:  # resumed after the last epoch
        evaluation = evaluate_model(model, validation_set, config, device=device, progress=progress)
    return TrainingResult(model, evaluation, curves, curves[-1]["seconds"], peak_memory_mb(device))


def check_same_categories(training_set: CocoDataset, validation_set: CocoDataset) -> None:
    """Raise a ValueError unless both files name the same categories in the same order."""
    if training_set.categories != validation_set.categories:
        raise ValueError(
            f"{validation_set.annotation_path}: categories are {validation_set.categories}, "
            f"expected those of {training_set.annotation_path}: {training_set.categories}"
        )


def check_something_to_learn(training_set: CocoDataset, config: Config) -> None:
    """Raise a ValueError if the mask loss has only the Dice term and no training instance has a mask for it."""
    boxes_teach = config.loss.projection or config.loss.pairwise or config.loss.box_mask
    if not boxes_teach and not training_set.has_masks:
        raise ValueError(
            f"{training_set.annotation_path}: no instance with a mask (supervision.mask_ratio is "
            f"{config.supervision.mask_ratio:g}), but loss.dice, which needs one, is the only term of the mask loss"
        )


def evaluate_model(model: CondInst, dataset: CocoDataset, config: Config, *, device: str, progress: bool) -> Evaluation:
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
    per_epoch = steps_per_epoch(len(dataset), config.training.batch_size)
    first = epoch * per_epoch
    end = min(first + per_epoch, steps)
    batches = epoch_batches(dataset, config.training.batch_size, seed, epoch, workers=workers)
    sums: dict[str, torch.Tensor | float] = {}
    counts: Counter[str] = Counter()
    for step in tqdm(range(first, end), desc=f"epoch {epoch + 1}", leave=False, disable=not progress):
        batch = next(batches).to(device)
        losses = train_step(model, optimizer, batch, config, step=step, steps=steps, seed=seed)
        for name, value in loss_values(losses).items():
            sums[name] = sums.get(name, 0.0) + value
            counts[name] += 1
    return {
        "step": end,
        "learning_rate": learning_rate(end - 1, steps, config.training),
        "pairwise_warmup": losses.pairwise_warmup,
        **{name: float(total) / counts[name] for name, total in sums.items()},
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
