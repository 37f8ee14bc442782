"""Worker processes that run cases under limits of time and memory, and are replaced when one dies."""

import faulthandler
import multiprocessing
import os
import re
import resource
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random

import psutil

from tests.fuzz.kind import Kind
from tests.fuzz.outcome import ACCEPTED, CRASH, HANG, REFUSED, ROOT, Outcome, failure, innermost, one_line, refusal

SECONDS = 5.0  # of processor time for one case
STILL = 60.0  # seconds after which a case that does not use the processor counts as hanging
MEMORY = 2 * 2**30  # bytes that a worker may hold, modules included
TRACE = "trace.txt"  # in a worker's folder: where it was when it died


@dataclass
class Worker:
    process: multiprocessing.Process
    pipe: Connection
    folder: Path
    number: int = 0
    started: float = 0.0  # wall clock
    used: float = 0.0  # processor time before the case


def case(kind: Kind, seed: int, number: int, folder: Path) -> Outcome:
    """Run one case in this process."""
    path = kind.write(Random(f"{kind.name} {seed} {number}"), folder)
    started = time.process_time()
    what, error = ACCEPTED, None
    try:
        content = kind.read(path)
    except Exception as raised:
        what, error = refusal(raised, path.name), raised
    else:
        try:
            kind.use(content)
        except Exception as raised:
            what, error = failure(raised), raised
    seconds = time.process_time() - started
    if what in (ACCEPTED, REFUSED) and seconds > SECONDS:
        what = HANG
    detail, place = (one_line(error), innermost(error)) if error is not None else ("", "")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Outcome(number, what, detail, place, seconds, memory)


def run_cases(kind: Kind, seed: int, numbers: range, folder: Path, processes: int) -> Iterator[tuple[Outcome, Path]]:
    """Run the cases in worker processes; yields each outcome with the folder that still holds the case's files."""
    todo = iter(numbers)
    workers: list[Worker] = []
    for index in range(processes):
        worker = _start(kind, seed, folder / f"worker{index}")
        if _hand_out(worker, todo):
            workers.append(worker)
    while workers:
        ready = wait([worker.pipe for worker in workers], timeout=0.5)
        for worker in list(workers):
            outcome = _outcome(worker, worker.pipe in ready)
            if outcome is None:
                continue
            yield outcome, worker.folder
            if not worker.process.is_alive():
                workers.remove(worker)
                worker = _start(kind, seed, worker.folder)
                workers.append(worker)
            if not _hand_out(worker, todo):
                workers.remove(worker)


def _start(kind: Kind, seed: int, folder: Path) -> Worker:
    folder.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")  # the modules are loaded once
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(kind, seed, theirs, folder), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours, folder)


def _serve(kind: Kind, seed: int, pipe: Connection, folder: Path) -> None:
    """Run the cases whose numbers come through the pipe, silently and under the memory limit."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    trace = (folder / TRACE).open("w")
    faulthandler.enable(trace)
    faulthandler.register(signal.SIGUSR1, trace)
    memory = psutil.Process().memory_info()
    limit = memory.vms + max(MEMORY - memory.rss, 0)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (number := pipe.recv()) is not None:
        pipe.send(case(kind, seed, number, folder))


def _hand_out(worker: Worker, todo: Iterator[int]) -> bool:
    """Give the worker its next case; False, and the worker ends, if there is none."""
    worker.number = next(todo, None)
    worker.pipe.send(worker.number)
    if worker.number is None:
        worker.process.join()
        return False
    worker.started, worker.used = time.monotonic(), _processor_time(worker)
    return True


def _outcome(worker: Worker, is_ready: bool) -> Outcome | None:
    """The outcome of the worker's case; None while it runs. A worker that died or was killed is no longer alive."""
    if is_ready:
        try:
            return worker.pipe.recv()
        except EOFError:
            worker.process.join()
            detail = f"the process died with status {worker.process.exitcode}"
            return Outcome(worker.number, CRASH, detail, _last_place(worker.folder))
    used, waited = _processor_time(worker) - worker.used, time.monotonic() - worker.started
    if used < 2 * SECONDS and waited < STILL:  # a case just over the limit reports itself
        return None
    os.kill(worker.process.pid, signal.SIGUSR1)  # it writes down where it is
    time.sleep(0.2)
    worker.process.kill()
    worker.process.join()
    detail = f"killed after {used:.0f} s of processor time, {waited:.0f} s in all"
    return Outcome(worker.number, HANG, detail, _last_place(worker.folder), used)


def _processor_time(worker: Worker) -> float:
    try:
        times = psutil.Process(worker.process.pid).cpu_times()
    except psutil.NoSuchProcess:
        return worker.used
    return times.user + times.system


def _last_place(folder: Path) -> str:
    """The innermost line of the project in the last stack that the worker wrote down."""
    text = (folder / TRACE).read_text(errors="replace")
    for file, line, function in re.findall(r'File "(.*?)", line (\d+) in (\S+)', text):
        path = Path(file)
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / "tests"):
            return f"{path.relative_to(ROOT)}:{line} {function}"
    return ""
