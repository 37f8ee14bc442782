"""One epoch: the order of the images, the training steps, and the mean losses."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import torch
from torch import nn

from core.compute.compute import Compute
from core.compute.workers import Workers
from core.config import Config, TrainingConfig
from core.datasets.loader import BatchLoader
from core.losses.criterion import Losses
from core.model.condinst import CondInst
from core.model.mask_rcnn import MaskRcnn
from core.pseudo_masks.ema_teacher import EmaTeacher
from core.training.effective_batch import effective_batch, steps_per_epoch
from core.training.finite import FiniteChecks
from core.training.optimizer import learning_rate
from core.training.step import train_step


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
    num_images: int, training: TrainingConfig, workers: Workers, *, seed: int, epoch: int
) -> list[list[int]]:
    """The images of each batch of this worker in an epoch: `accumulation` batches per step, each of `batch_size`.

    All workers together see every image once, except those left over after the last full step. If the data set is
    smaller than one step, its images repeat in the same order until the step is full.
    """
    order = epoch_order(num_images, seed, epoch)
    size = training.batch_size
    steps = steps_per_epoch(num_images, effective_batch(training, workers.count))
    num_batches = steps * training.accumulation * workers.count
    order = list(islice(cycle(order), num_batches * size))
    batches = [order[i * size : (i + 1) * size] for i in range(num_batches)]
    return batches[workers.rank :: workers.count]


@dataclass
class EpochProgress:
    """The steps of an epoch that are done, and the sums of their losses (of this worker), from which it goes on."""

    steps: int = 0
    sums: dict[str, torch.Tensor | float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    pairwise_warmup: float = 0.0  # of the last step
    seconds: float = 0.0  # before the training was stopped in this epoch

    def add(self, losses_of: Sequence[Losses]) -> None:
        """Count one more step, with the losses of its batches."""
        self.steps += 1
        for losses in losses_of:
            self.pairwise_warmup = losses.pairwise_warmup
            for name, value in loss_values(losses).items():
                self.sums[name] = self.sums.get(name, 0.0) + value
                self.counts[name] += 1

    def means(self) -> dict[str, float]:
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}

    def state(self) -> dict[str, Any]:
        """What a checkpoint saves; doubles, so that the sums go on equal to the bit."""
        sums = {name: float(total) for name, total in self.sums.items()}
        return vars(self) | {"sums": sums, "counts": dict(self.counts)}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "EpochProgress":
        return cls(**state | {"counts": Counter(state["counts"])})


def run_epoch(
    model: CondInst | MaskRcnn,
    optimizer: torch.optim.Optimizer,
    loader: BatchLoader,
    config: Config,
    compute: Compute,
    *,
    epoch: int,
    steps: int,
    seed: int,
    progress: EpochProgress,
    stepped: Callable[[], object] = lambda: None,
    batch_losses: nn.Module | None = None,
    teacher: EmaTeacher | None = None,
) -> dict[str, float | int]:
    """Train one epoch (from 0) and return its numbers: mean losses of this worker, schedule values of the last step.

    It starts after the steps that `progress` has, which is kept up to date; `stepped` is called after each step.
    `batch_losses` and `teacher` as in `train_step`.

    Raises:
        Stopped: before a step, if `compute.stop` asks for it on any worker; the work so far is in `progress`, the
            network and the optimizer.
        FloatingPointError: if a loss is not finite (`FiniteChecks`): all that is returned or stopped with is checked.
    """
    model.train()
    training, workers = config.training, compute.workers
    num_images = len(loader.dataset)
    per_epoch = steps_per_epoch(num_images, effective_batch(training, workers.count))
    first = epoch * per_epoch
    end = min(first + per_epoch, steps)
    waiting = epoch_batches(num_images, training, workers, seed=seed, epoch=epoch)[
        : (end - first) * training.accumulation
    ]
    batches = loader.load(waiting[progress.steps * training.accumulation :], epoch)
    of_training = {"steps": steps, "seed": seed, "workers": workers, "batch_losses": batch_losses, "teacher": teacher}
    with FiniteChecks(later=torch.device(compute.device).type == "cuda") as checks:
        for step in range(first + progress.steps, end):
            compute.check_stop(f"{step} of {steps} steps")
            of_step = [next(batches).to(compute.device) for _ in range(training.accumulation)]
            progress.add(train_step(model, optimizer, of_step, config, step=step, checks=checks, **of_training))
            stepped()
    return {
        "step": end,
        "learning_rate": learning_rate(end - 1, steps, training),
        "pairwise_warmup": progress.pairwise_warmup,
        **progress.means(),
    }


def loss_values(losses: Losses) -> dict[str, torch.Tensor | float]:
    """The values averaged over an epoch: each term with and without its weight, the total, the share of edges kept."""
    kept = {} if isinstance(losses.edges_kept, float) else {"edges_kept": losses.edges_kept}
    return {
        **{f"loss/{name}": value.detach().double() for name, value in losses.weighted.items()},
        **{f"loss/{name}_unweighted": value.detach().double() for name, value in losses.unweighted.items()},
        "loss/total": losses.total.detach().double(),
        **kept,
    }
