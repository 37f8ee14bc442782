"""Data parallel training: `torchrun` starts the workers, and each processes its share of every batch.

Gradients are averaged during the backward pass. A loss that is divided by a count uses the mean count of the workers
(as AdelaiDet does), so that the average of the gradients is the gradient of the whole batch. Exceptions:

- `loss.mask_normalizer: each_worker` divides the mask terms by the counts of each worker, as AdelaiDet does; class, box
  and centerness terms still use the mean.
- Mask R-CNN's own terms are torchvision's: each worker divides by the anchors, regions or cells that it sampled itself.
- With gradient accumulation, each batch is divided by its own counts, not by their mean.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from core.compute.command import run_command
from core.compute.device import check_device, keep_freed_memory


@dataclass(frozen=True)
class Workers:
    """This process, one of `count` workers; rank 0 writes files and reports."""

    rank: int = 0
    count: int = 1
    store: distributed.Store | None = field(default=None, repr=False, compare=False)  # shared by all workers

    @property
    def writes(self) -> bool:
        return self.rank == 0

    def mean(self, value: Tensor) -> Tensor:
        """The mean of `value` over the workers, without gradient; `value` itself if there is only one worker."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total / self.count

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module with gradients that are means over the workers; itself if there is only one worker.

        torch's DistributedDataParallel, which exchanges gradients while the backward pass goes on. A gradient that one
        worker lacks counts as 0; one that all lack stays missing. Buffers stay each worker's own.
        """
        if self.count == 1:
            return module
        # With `find_unused_parameters` the parameters keep their buckets. Else torch would divide them anew after the
        # first step, also after a resume, and with three workers the order of a sum depends on its place in a bucket.
        return DistributedDataParallel(
            module, broadcast_buffers=False, find_unused_parameters=True, gradient_as_bucket_view=True
        )

    def copy_from_first(self, model: nn.Module) -> None:
        """Copy parameters and buffers of rank 0 to every worker; batch norm statistics differ between workers."""
        if self.count > 1:
            for tensor in model.state_dict().values():
                distributed.broadcast(tensor, src=0)

    def highest(self, number: int) -> int:
        """The highest number of the workers, on each of them; agreed on by their hosts, which wait for no GPU."""
        if self.count == 1:
            return number
        highest = torch.tensor(number)
        distributed.all_reduce(highest, distributed.ReduceOp.MAX)
        return int(highest)

    def gather(self, item: Any) -> list[Any]:
        """The items of all workers, ordered by rank."""
        if self.count == 1:
            return [item]
        items: list[Any] = [None] * self.count
        distributed.all_gather_object(items, item)
        return items

    def first_to_print(self, message: str) -> bool:
        """Whether this worker is the first to ask for this message; does not wait for the others."""
        return self.store is None or self.store.add(f"printed: {message}", 1) == 1


ALONE = Workers()


@contextmanager
def torchrun_workers(device: str) -> Iterator[tuple[Workers, str]]:
    """The workers that `torchrun` started, and the device of this one; gloo for what is on CPUs, nccl on GPUs.

    Without torchrun, this process is the only worker.

    Raises:
        ValueError: if the device does not exist, or this machine has fewer GPUs than workers.
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
                f"{on_this_machine} workers on this machine, but torch finds {found} GPU(s), expected one per worker"
            )
        device = f"cuda:{local_rank}"
        torch.cuda.set_device(device)
    store, rank, count = next(distributed.rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"  # by the device of a tensor
    distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield Workers(rank, count, store), device
    finally:
        distributed.destroy_process_group()


def run_with_workers(work: Callable[[Workers, str], None], device: str) -> int:
    """`run_command` with the workers and the device of this process, for a command that `torchrun` may start."""
    keep_freed_memory()

    def run() -> int:
        with torchrun_workers(device) as (workers, own_device):
            return run_command(partial(work, workers, own_device), prints=workers.first_to_print)

    # All workers of a machine fail with the same message about its devices.
    return run_command(run, prints=lambda message: int(os.environ.get("LOCAL_RANK", "0")) == 0)
