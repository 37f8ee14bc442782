"""A cluster whose head is gone: Ray waits a minute for it and then aborts the driver with lines of its own.

A connection every few seconds tells sooner. The driver then ends in one sentence; where Ray does not return to Python,
its process ends with it.
"""

import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import ray

from core.compute.command import WRONG_INPUT

LOOK_SECONDS = 3.0  # between two looks, and until one has failed
GONE_SECONDS = 15.0  # without an answer; a head that restarts with its state kept takes less
STUCK_SECONDS = 10.0  # after these, where Ray does not return to Python
END_SECONDS = 25.0  # for all that is left to do then: Ray ends the process 60 s after its head


class HeadGone(BaseException):
    """No Exception, since Ray's loops try again after one."""


class HeadLost(OSError):
    """The head of the cluster is gone; Ray is to be left as it is."""


@contextmanager
def head_watched(address: str) -> Iterator[None]:
    """Within the block, in the main thread, raise `HeadLost` when nobody has answered at host:port for a while.

    Ray is then left as it is: its own end would wait for the head.
    """
    sentence = (
        f"the cluster's head at {address} does not answer any more; start the cluster and run the same command again: "
        "finished trials are kept, the others go on from the last checkpoint that arrived"
    )
    ended = threading.Event()

    def raise_gone(signal_number: int, frame: FrameType | None) -> None:
        if not ended.is_set():
            raise HeadGone

    handler = signal.signal(signal.SIGALRM, raise_gone)
    watching = threading.Thread(target=_watch, args=(address, sentence, ended), daemon=True, name="head")
    watching.start()
    try:
        yield
    except (HeadGone, Exception) as error:
        ended.set()
        if not isinstance(error, HeadGone) and answers(address):
            raise
        leave_ray()
        raise HeadLost(sentence) from None
    finally:
        ended.set()
        watching.join()  # it sends no signal after this
        signal.signal(signal.SIGALRM, handler)


def leave_ray() -> None:
    """Let this process end without Ray's own end, which would wait for the head, and within `END_SECONDS`."""
    atexit.unregister(ray.shutdown)
    last = threading.Timer(END_SECONDS, os._exit, (WRONG_INPUT,))
    last.daemon = True
    last.start()


def answers(address: str) -> bool:
    """Whether someone answers at host:port."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), LOOK_SECONDS).close()
    except OSError:
        return False
    return True


def _watch(address: str, sentence: str, ended: threading.Event) -> None:
    heard = time.monotonic()
    while not ended.wait(LOOK_SECONDS):
        if answers(address):
            heard = time.monotonic()
        elif time.monotonic() - heard > GONE_SECONDS:
            break
    deadline = time.monotonic() + STUCK_SECONDS
    while not ended.is_set() and time.monotonic() < deadline:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)
        ended.wait(1.0)
    if not ended.is_set():
        print(f"error: {sentence}", file=sys.stderr, flush=True)
        os._exit(WRONG_INPUT)
