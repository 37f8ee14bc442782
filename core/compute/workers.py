"""Data parallel training: the processes that `torchrun` starts, each with its share of every batch.

Gradients are averaged after the backward pass. A loss that is divided by a count takes the count's mean over the
workers (as AdelaiDet does), so that the average of the gradients is the gradient of the whole batch. Exceptions:

- `loss.mask_normalizer: each_worker` divides the mask terms by each worker's own counts, as AdelaiDet does; class, box
  and centerness terms take the mean all the same.
- Mask R-CNN's terms are torchvision's, each divided by the anchors, regions or cells that the worker sampled itself.
- Batches that one worker accumulates are divided each by its own counts, not by their mean.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn

from core.compute.command import run_command
from core.compute.device import check_device, keep_freed_memory


@dataclass(frozen=True)
class Workers:
    """This process among `count`; rank 0 writes files and reports."""

    rank: int = 0
    count: int = 1
    store: distributed.Store | None = field(default=None, repr=False, compare=False)  # shared by all workers

    @property
    def writes(self) -> bool:
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the workers, without a gradient; `value` itself where there is one."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def average_gradients(self, model: nn.Module) -> None:
        """Replace each gradient by its mean over the workers; one that had no part in the loss counts as 0."""
        if self.count == 1:
            return
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        means = flat.split([parameter.numel() for parameter in parameters])
        for parameter, gradient, mean in zip(parameters, gradients, means, strict=True):
            parameter.grad = gradient.copy_(mean.view_as(gradient))  # in place, in the memory format it had

    def copy_from_first(self, model: nn.Module) -> None:
        """Give every worker the parameters and buffers of rank 0; the statistics of batch norm are each its own."""
        if self.count > 1:
            for tensor in model.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def gather(self, item: Any) -> list[Any]:
        """The item of every worker, by rank."""
        if self.count == 1:
            return [item]
        items: list[Any] = [None] * self.count
        distributed.all_gather_object(items, item)
        return items

    def first_to_print(self, message: str) -> bool:
        """Whether no worker has asked this of the same message before; nobody waits for the others."""
        return self.store is None or self.store.add(f"printed: {message}", 1) == 1


ALONE = Workers()


@contextmanager
def torchrun_workers(device: str) -> Iterator[tuple[Workers, str]]:
    """The workers of this `torchrun`, and this one's device: gloo on a CPU, nccl on GPUs. Without torchrun: alone.

    Raises:
        ValueError: if the device is not there, or fewer GPUs than workers on this machine.
    """
    check_device(device)
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE, device
        return
    on_gpu = torch.device(device).type == "cuda"
    local_rank = int(os.environ["LOCAL_RANK"])
    if on_gpu:
        on_this_machine = int(os.environ.get("LOCAL_WORLD_SIZE", count))
        if on_this_machine > torch.cuda.device_count():
            found = torch.cuda.device_count()
            raise ValueError(
                f"{on_this_machine} workers on this machine, but torch finds {found} GPU(s), one is needed each"
            )
        device = f"cuda:{local_rank}"
        torch.cuda.set_device(device)
    store, rank, count = next(distributed.rendezvous("env://"))
    distributed.init_process_group("nccl" if on_gpu else "gloo", store=store, rank=rank, world_size=count)
    try:
        yield Workers(rank, count, store), device
    finally:
        distributed.destroy_process_group()


def run_with_workers(work: Callable[[Workers, str], None], device: str) -> int:
    """`run_command` with this process's workers and device, for a command that `torchrun` may start."""
    keep_freed_memory()

    def run() -> int:
        with torchrun_workers(device) as (workers, own_device):
            return run_command(partial(work, workers, own_device), prints=workers.first_to_print)

    # All workers of a machine have the same message about its devices.
    return run_command(run, prints=lambda message: int(os.environ.get("LOCAL_RANK", "0")) == 0)
