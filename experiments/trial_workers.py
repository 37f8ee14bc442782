"""One trial by several processes of this machine, which share every step: one on each GPU, or on CPUs over gloo.

They train as those of `torchrun` do (`core.compute.workers`): each takes a whole batch, so that W of them train as one
process with W times the batch size. Their parent passes on the epochs that the first one reports and the wish to stop,
and ends all of them when one dies.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

from core.compute.interrupt import Stopped, ignore_stop_signals
from core.compute.workers import torchrun_workers
from core.record import Record
from experiments.parent import end_with_parent
from experiments.trial import run_trial

LOOK = 0.5  # seconds after which the parent looks whether the trial is to stop
LAST_WORDS = 2.0  # seconds to wait for the exit status of a dead worker after another lost its connection


class WorkerDied(Exception):
    """A process of a trial ended without a result; the trial may be tried again from its checkpoint."""


@dataclass(frozen=True)
class Place:
    """Which worker a process is, of how many, and where they meet: a port of this machine."""

    rank: int
    count: int
    port: int

    def environment(self) -> dict[str, str]:
        """As `torchrun` sets it."""
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": self.port}
        who = {"RANK": self.rank, "LOCAL_RANK": self.rank, "WORLD_SIZE": self.count, "LOCAL_WORLD_SIZE": self.count}
        return {name: str(value) for name, value in (where | who).items()}


def run_trial_by_workers(
    count: int,
    *arguments: Any,
    threads: int,
    memory_gb: float | None,
    on_epoch: Callable[[dict[str, float]], None],
    stop: Callable[[], int],
    **named: Any,
) -> Record:
    """`run_trial` by `count` workers, with its arguments; `threads` and `memory_gb` are those of all together.

    Raises:
        WorkerDied: if one of them ended without a result.
        OSError, Stopped: as `run_trial`.
    """
    context = get_context("spawn")
    asked = context.Value("i", 0)  # the number of the signal that stops the trial
    memory_gb = memory_gb and memory_gb / count
    named |= {"threads": max(threads // count, 1), "memory_gb": memory_gb}
    port, folder = _free_port(), Path.cwd()
    processes: dict[connection.Connection, BaseProcess] = {}
    try:
        for rank in range(count):
            here, there = context.Pipe(duplex=False)
            given = Place(rank, count, port), folder, there, asked, arguments, named
            processes[here] = context.Process(target=_work, args=given, name=f"worker {rank} of {count}")
            processes[here].start()
            there.close()
        return _result(processes, asked, on_epoch, stop)
    finally:
        for process in processes.values():
            if process.pid is not None:
                process.kill()
                process.join()


def _result(
    processes: dict[connection.Connection, BaseProcess],
    asked: Synchronized,
    on_epoch: Callable[[dict[str, float]], None],
    stop: Callable[[], int],
) -> Record:
    """The record of the first worker, or of any whose trial failed."""
    first, waited_for = next(iter(processes)), list(processes)
    while True:
        asked.value = stop()
        for pipe in connection.wait(waited_for, LOOK):
            try:
                kind, content = pipe.recv()
            except EOFError:
                waited_for.remove(pipe)
                processes[pipe].join()
                _check_ends([processes[pipe]])
                if pipe is first:
                    raise WorkerDied(f"{processes[pipe].name} ended without a result") from None
                continue
            if kind == "epoch":
                on_epoch(content)
            elif kind == "record" and content.status != "ok":  # the others wait for this worker
                connection.wait([process.sentinel for process in processes.values()], LAST_WORDS)
                _check_ends(list(processes.values()))
                return content
            elif pipe is not first:  # done; the first one may still write
                continue
            elif kind == "stopped":
                raise Stopped(*content)
            elif kind == "raised":
                raise content
            else:
                return content


def _check_ends(processes: list[BaseProcess]) -> None:
    """Raise `WorkerDied` if one of the processes has ended badly."""
    for process in processes:
        if process.exitcode:
            killed = process.exitcode < 0
            how = (
                f"was killed by {Signals(-process.exitcode).name}"
                if killed
                else f"ended with status {process.exitcode}"
            )
            raise WorkerDied(f"{process.name} {how}")


def _work(
    place: Place,
    folder: Path,
    pipe: connection.Connection,
    asked: Synchronized,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> None:
    """What a worker does; it ends with its parent, to which signals are addressed."""
    ignore_stop_signals()
    end_with_parent(SIGKILL)
    os.chdir(folder)
    os.environ.update(place.environment())
    try:
        with torchrun_workers(named.pop("device")) as (workers, device):
            record = run_trial(
                *arguments,
                **named,
                device=device,
                workers=workers,
                on_epoch=lambda numbers: pipe.send(("epoch", numbers)),
                stop=lambda: asked.value,
            )
            pipe.send(("record", record))  # before the workers part: one that failed leaves the others waiting
    except Stopped as stopped:
        pipe.send(("stopped", (str(stopped), stopped.signal_number)))
    except OSError as error:
        pipe.send(("raised", error))


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
