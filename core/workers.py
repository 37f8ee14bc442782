"""Data parallel training: the processes that `torchrun` starts, each with its share of every batch.

Gradients are averaged after the backward pass. A loss that is divided by a count takes the count's mean over the
workers (as AdelaiDet does), so that the average of the gradients is the gradient of the whole batch.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn


@dataclass(frozen=True)
class Workers:
    """This process among `count`; rank 0 writes files and reports."""

    rank: int = 0
    count: int = 1

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


ALONE = Workers()


@contextmanager
def torchrun_workers(device: str) -> Iterator[tuple[Workers, str]]:
    """The workers of this `torchrun`, and this one's device: gloo on a CPU, nccl on GPUs. Without torchrun: alone.

    Raises:
        ValueError: if there are more workers on this machine than GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE, device
        return
    on_gpu = torch.device(device).type == "cuda"
    local_rank = int(os.environ["LOCAL_RANK"])
    if on_gpu:
        if local_rank >= torch.cuda.device_count():
            raise ValueError(f"worker {local_rank} of this machine has no GPU, found {torch.cuda.device_count()}")
        device = f"cuda:{local_rank}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield Workers(distributed.get_rank(), count), device
    finally:
        distributed.destroy_process_group()
