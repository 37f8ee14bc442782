"""Ray's start, on this machine for one sweep or as part of a cluster: within a limit, tried twice, one sentence each.

On a loaded machine Ray's processes miss their own time limits, and `ray.init` then fails, or waits for ever.
"""

import logging
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import FrameType

import psutil
import ray

from core.compute.command import WRONG_INPUT
from experiments.params import Resources

ROOT = Path(__file__).parents[2]
ADDRESS = "RAY_ADDRESS"
PRELOADED = "RAY_preload_python_modules"  # a setting of Ray
TRAINABLE = "experiments.parallel.trainable"
CLIENT = "ray://"
ADDRESS_FORM = re.compile(r"\[?(?P<host>[^\[\]/]+?)\]?:(?P<port>\d+)")
ANSWER_SECONDS = 10.0  # for the address of a cluster
START_SECONDS = 120.0  # for each attempt; a start takes some 5 on a quiet machine, 60 on one with five times its load
JOIN_SECONDS = 40.0  # for each attempt to join a cluster, which starts nothing
STUCK_SECONDS = 30.0  # after these, where Ray does not return to Python
ATTEMPTS = 2


class Overdue(BaseException):
    """The time is over; no Exception, since Ray's loops try again after one."""


def joins_cluster() -> bool:
    return ADDRESS in os.environ


def start_ray(resources: Resources, code: Path | None = None) -> None:
    """Join the cluster at `RAY_ADDRESS`, or start Ray on this machine for the duration of the sweep.

    `code` is a folder that Ray copies to the nodes of the cluster, where processes of this sweep import from it.

    Ray's processes inherit that SIGTERM is held back: one that is sent to all processes of a job is the driver's to
    answer. If they died of it, Ray would keep the driver waiting for a minute, and then end it.

    Raises:
        ValueError: if the address is none.
        OSError: if nobody answers at the address, or Ray does not start in two attempts.
    """
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # the records have the curves
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # the sweep has its own
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the records have the tracebacks
    options = {"log_to_driver": False, "logging_level": "ERROR"}
    address = os.environ.get(ADDRESS)
    if address is None:
        num_cpus = resources.parallel_trials * resources.cpus_per_trial
        options |= {"address": "local", "num_cpus": num_cpus, "include_dashboard": False}
        what, way_out = "Ray did not start", "lower the load of this machine, or pass --in-process to do without Ray"
    else:
        check_address(address)
        if code is not None:
            options |= {"runtime_env": {"working_dir": str(code)}}
            os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"  # `ray job submit` may have sent the folder with the code
        what, way_out = f"no Ray at {ADDRESS}={address}", "see `ray status` there, or unset it to start Ray here"
    seconds = START_SECONDS if address is None else JOIN_SECONDS
    # Ray starts a process for each core at once. Where there are as many as trials, they load what a trial needs while
    # this one does other things.
    loads = address is None and resources.cpus_per_trial == 1
    for remaining in range(ATTEMPTS - 1, -1, -1):
        with imported_early(TRAINABLE) if loads else nullcontext():
            reason = attempt(options, seconds, f"{what}; {way_out}")
        if not reason:
            return
        if not remaining:
            raise OSError(f"{what}, {ATTEMPTS} attempts: {reason}; {way_out}")
        print(f"{what}: {reason}; trying once more", file=sys.stderr, flush=True)


@contextmanager
def imported_early(module: str) -> Iterator[None]:
    """A Ray that starts in this block has its processes import a module at once, before they have anything to do.

    They have this folder in their path, and one thread for each of the libraries that read `OMP_NUM_THREADS`, as Ray
    sets it for a trial on one core, but before it is read.
    """
    paths = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    changes = {PRELOADED: module, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    changes["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
    before = {name: os.environ.get(name) for name in changes}
    os.environ |= changes
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def attempt(options: dict, seconds: float, sentence: str) -> str:
    """Call `ray.init`; returns why it failed, after which nothing that it started is left, or an empty text.

    Where Ray does not return to Python at all, the process ends with `sentence`.
    """
    before = {child.pid for child in psutil.Process().children()}
    try:
        with time_limit(seconds, sentence):
            ray.init(**options)
        return ""
    except Overdue:
        reason = f"it was not ready after {seconds:g} s"
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
    with suppress(Exception):
        ray.shutdown()
    for child in psutil.Process().children():
        if child.pid not in before:
            child.kill()
    return reason


@contextmanager
def time_limit(seconds: float, sentence: str) -> Iterator[None]:
    """Raise `Overdue` in this, the main thread after these seconds, and again each second until it gets through.

    A call into a library that does not return to Python keeps it waiting: after `STUCK_SECONDS` more the process ends,
    with exit status 2 and `sentence`.
    """

    def overdue(signal_number: int, frame: FrameType | None) -> None:
        raise Overdue

    def give_up() -> None:
        print(f"error: {sentence}", file=sys.stderr, flush=True)
        os._exit(WRONG_INPUT)

    stuck = threading.Timer(seconds + STUCK_SECONDS, give_up)
    stuck.daemon = True
    handler = signal.signal(signal.SIGALRM, overdue)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    stuck.start()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        stuck.cancel()


def check_address(address: str) -> None:
    """Refuse an address at which no server answers: Ray would say so for three minutes, in lines of its own.

    Raises:
        ValueError: if it is not like host:port, auto or local.
        OSError: if nobody answers in two attempts.
    """
    if address in ("auto", "local"):
        return
    if address.startswith(CLIENT):
        raise ValueError(
            f"{ADDRESS} is {address}, which is for Ray Client, and a sweep runs on a node of the cluster: start the "
            f"command there with {ADDRESS}=auto, or send it there with `ray job submit`"
        )
    place = ADDRESS_FORM.fullmatch(address)
    if place is None:
        raise ValueError(f"{ADDRESS} is {address!r}, expected host:port, auto or local")
    for remaining in range(ATTEMPTS - 1, -1, -1):
        try:
            socket.create_connection((place["host"], int(place["port"])), ANSWER_SECONDS).close()
            return
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if not remaining:
                raise OSError(
                    f"{ADDRESS} is {address}, where nobody answers ({reason}); start the cluster there (`ray start "
                    "--head`), or unset it to start Ray on this machine"
                ) from error
