"""One epoch: the order of the images, the training steps, and the mean losses."""

import math
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice

import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from core.compute.compute import Compute
from core.config import Config, TrainingConfig
from core.datasets.batch import collate
from core.datasets.coco import CocoDataset
from core.losses.criterion import Losses
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn
from core.structures import Batch
from core.training.effective_batch import effective_batch
from core.training.optimizer import learning_rate
from core.training.step import train_step


def steps_per_epoch(num_images: int, images_per_step: int) -> int:
    """Number of full steps in an epoch; at least one, in which images repeat if the data set is smaller."""
    return max(num_images // images_per_step, 1)


def total_steps(training: TrainingConfig, num_images: int, num_workers: int) -> int:
    return training.steps or training.epochs * steps_per_epoch(num_images, effective_batch(training, num_workers))


def boxes_only_epochs(boxes_first: float, epochs: int) -> int:
    """Number of epochs, out of `epochs`, that train on boxes only: the share `boxes_first`, rounded; 0 means none.

    If `boxes_first` is above 0, each of the two phases has at least one epoch.

    Raises:
        ValueError: if there are too few epochs for both phases.
    """
    if not boxes_first:
        return 0
    if epochs < 2:
        raise ValueError(
            f"supervision.boxes_first is {boxes_first:g}, but the schedule has {epochs} epoch, expected at least 2: "
            "one on boxes only, one on masks"
        )
    return min(max(round(boxes_first * epochs), 1), epochs - 1)


def epoch_order(num_images: int, seed: int, epoch: int) -> list[int]:
    """Order of the images in `epoch` (from 0)."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(num_images, generator=generator).tolist()


def epoch_batches(
    dataset: Dataset, training: TrainingConfig, compute: Compute, *, seed: int, epoch: int
) -> Iterator[Batch]:
    """The batches of this worker in an epoch: `accumulation` per step, each of `batch_size` images.

    All workers together see every image once, except those left over after the last full step. If the data set is
    smaller than one step, its images repeat in the same order until the step is full.
    """
    workers = compute.workers
    order = epoch_order(len(dataset), seed, epoch)
    size = training.batch_size
    steps = steps_per_epoch(len(dataset), effective_batch(training, workers.count))
    num_batches = steps * training.accumulation * workers.count
    order = list(islice(cycle(order), num_batches * size))
    batches = [order[i * size : (i + 1) * size] for i in range(num_batches)]
    mine = batches[workers.rank :: workers.count]
    return iter(DataLoader(dataset, batch_sampler=mine, collate_fn=collate, num_workers=compute.loader_processes))


def run_epoch(
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    dataset: CocoDataset,
    config: Config,
    compute: Compute,
    *,
    epoch: int,
    steps: int,
    seed: int,
) -> dict[str, float | int]:
    """Train one epoch (from 0) and return its numbers: mean losses of this worker, schedule values of the last step."""
    model.train()
    dataset.set_epoch(epoch)
    training, workers = config.training, compute.workers
    per_epoch = steps_per_epoch(len(dataset), effective_batch(training, workers.count))
    first = epoch * per_epoch
    end = min(first + per_epoch, steps)
    batches = epoch_batches(dataset, training, compute, seed=seed, epoch=epoch)
    sums: dict[str, torch.Tensor | float] = {}
    counts: Counter[str] = Counter()
    for step in tqdm(range(first, end), desc=f"epoch {epoch + 1}", leave=False, disable=not compute.progress):
        of_step = [next(batches).to(compute.device) for _ in range(training.accumulation)]
        losses_of = train_step(model, optimizer, of_step, config, step=step, steps=steps, seed=seed, workers=workers)
        for losses in losses_of:
            for name, value in loss_values(losses).items():
                sums[name] = sums.get(name, 0.0) + value
                counts[name] += 1
    return {
        "step": end,
        "learning_rate": learning_rate(end - 1, steps, training),
        "pairwise_warmup": losses.pairwise_warmup,
        **{name: float(total) / counts[name] for name, total in sums.items()},
    }


def loss_values(losses: Losses) -> dict[str, torch.Tensor | float]:
    """The values averaged over an epoch: each term with and without its weight, the total, the share of edges kept."""
    kept = {} if math.isnan(losses.edges_kept) else {"edges_kept": losses.edges_kept}
    return {
        **{f"loss/{name}": value.detach().double() for name, value in losses.weighted.items()},
        **{f"loss/{name}_unweighted": value.detach().double() for name, value in losses.unweighted.items()},
        "loss/total": losses.total.detach().double(),
        **kept,
    }
