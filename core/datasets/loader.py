"""Load batches of a data set, in this process or in several others, which live as long as the loader.

A batch travels through a pipe as one piece. Torch's own way is shared memory with a file descriptor for each tensor. It
loses a batch without a word, and waits for it for ever, where shared memory is small (64 MB in a Docker container),
where 1,024 files may be open (an annotation has five tensors), or where the path of temporary files has over 100
letters.
"""

import traceback
from collections.abc import Iterator, Sequence
from multiprocessing import Semaphore
from signal import Signals
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from core.compute.failure import describe_dead_loader
from core.compute.interrupt import ignore_stop_signals
from core.datasets.batch import collate, packed, unpacked
from core.structures import Batch

SEMAPHORES, SEMAPHORES_EACH = 8, 3  # of torch 2.11: a queue of results and an event; a queue of indices per process
LOOK = 5.0  # seconds of waiting after which torch looks whether its processes still live
PATIENCE = 60  # so many looks in a row without a batch, all processes alive: they wait for something that never comes


class BatchLoader:
    """Loads batches of samples, given by their indices, with `processes` processes (0: in this one).

    The processes live from one epoch to the next. Forked from this one, they share the decoded images of the data set
    with it (`ImageCache`). They end with `close`, or at the end of the `with` block. Batches are equal to the bit for
    any number of processes.
    """

    def __init__(self, dataset: Dataset, processes: int) -> None:
        self.dataset = dataset
        self.processes = processes
        self._batches = _Batches()
        self._loader: DataLoader | None = None
        self._is_idle = True  # no batch of an earlier epoch is still on its way

    def __enter__(self) -> "BatchLoader":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def load(self, batches: Sequence[Sequence[int]], epoch: int) -> Iterator[Batch]:
        """The batches with these indices, in order; `epoch` determines the random views.

        Raises:
            what the data set raises in this process or another, with the same message; ChildProcessError if another
            process ended (torch raises a RuntimeError if this one is not waiting for a batch then); TimeoutError if
            they are alive, but no batch comes.
        """
        if self.processes:
            return self._from_processes(batches, epoch)
        return (_load(self.dataset, epoch, indices) for indices in batches)

    def _from_processes(self, batches: Sequence[Sequence[int]], epoch: int) -> Iterator[Batch]:
        if not self._is_idle:
            self.close()
        self._is_idle = False
        self._batches.of_epoch = [(epoch, indices) for indices in batches]
        if self._loader is None:
            _check_semaphores(self.processes)
            self._loader = DataLoader(
                _Worker(self.dataset),
                sampler=self._batches,
                batch_size=None,
                collate_fn=_as_it_is,
                num_workers=self.processes,
                timeout=LOOK,
                persistent_workers=True,
                worker_init_fn=_start_worker,
                generator=torch.Generator(),  # else each epoch would draw from the global generator
            )
        iterator = iter(self._loader)
        for remaining in range(len(batches) - 1, -1, -1):
            content = unpacked(_next(iterator))
            if isinstance(content, BaseException):
                raise content
            self._is_idle = remaining == 0
            yield content

    def close(self) -> None:
        """End the processes."""
        if self._loader is not None and self._loader._iterator is not None:
            processes = self._loader._iterator._workers
            self._loader._iterator._shutdown_workers()  # waits up to 5 s for each
            for process in processes:  # those that hang in reading a file
                process.kill()
        self._loader, self._is_idle = None, True


class _Batches:
    """The sampler of a loader that outlives an epoch: (epoch, indices) of each batch."""

    of_epoch: list[tuple[int, Sequence[int]]]

    def __iter__(self) -> Iterator[tuple[int, Sequence[int]]]:
        return iter(self.of_epoch)

    def __len__(self) -> int:
        return len(self.of_epoch)


class _Worker(Dataset):
    """The data set as the other processes see it: an item is a packed batch, or the exception that loading raised."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, item: tuple[int, Sequence[int]]) -> bytes:
        try:
            return packed(_load(self.dataset, *item))
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))  # a pickle leaves the traceback behind
            return _packed_error(error)


def _load(dataset: Dataset, epoch: int, indices: Sequence[int]) -> Batch:
    dataset.set_epoch(epoch)
    return collate([dataset[index] for index in indices])


def _packed_error(error: Exception) -> bytes:
    """The exception; if it cannot be pickled and read again, another one that names it."""
    try:
        content = packed(error)
        unpacked(content)
        return content
    except Exception:
        return packed(RuntimeError(f"{type(error).__name__}: {error}"))


def _next(iterator: Iterator[bytes]) -> bytes:
    """The next item. Looks are counted, not seconds: a process that was suspended did not wait in vain."""
    for _ in range(PATIENCE):
        try:
            return next(iterator)
        except RuntimeError as error:
            for process in iterator._workers:
                if process.exitcode is not None:
                    raise ChildProcessError(describe_dead_loader(process.pid, _end_of(process.exitcode))) from error
            if "timed out" not in str(error):
                raise
    raise TimeoutError(
        f"no batch of images came within {PATIENCE * LOOK:.0f} s, though the processes that load them are alive; they "
        "may wait for a network drive that does not answer, or lack memory: try --loader-processes 0, which loads in "
        "the main process"
    )


def _end_of(exit_code: int) -> str:
    return f"was killed by {Signals(-exit_code).name}" if exit_code < 0 else f"ended with status {exit_code}"


def _check_semaphores(processes: int) -> None:
    """Make the semaphores that torch's queues will need, and drop them: torch cannot clean up when it fails to.

    Raises:
        OSError: if there is no room for them; says where, and what to do.
    """
    try:
        for_a_moment = [Semaphore(0) for _ in range(SEMAPHORES + SEMAPHORES_EACH * processes)]
    except OSError as error:
        raise OSError(
            f"/dev/shm: {error.strerror}, for the semaphores of {processes} processes that load images: give the "
            "container more (docker run --shm-size), or set --loader-processes 0"
        ) from None
    del for_a_moment


def _start_worker(number: int) -> None:
    ignore_stop_signals()  # the main process finishes its step first, for which it needs these


def _as_it_is(item: Any) -> Any:
    return item
