"""How a process is asked to stop: SIGTERM (Slurm, Kubernetes, torchrun, `kill`) or SIGINT (Ctrl-C)."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SECOND_PRESS = 1.0  # seconds; a SIGINT that arrives sooner is the first one again, passed on by a parent process


class Interrupted(KeyboardInterrupt):
    """Raised by a signal, wherever the work is.

    It is a KeyboardInterrupt, so that whatever handles Ctrl-C also handles it, and `except Exception` does not.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class Stopped(Interrupted):
    """Raised by work that was asked to stop, between two steps: all that is done so far is whole."""


class StopRequest:
    """Called, it returns the number of the signal that asked this process to stop; 0 if none did."""

    def __init__(self) -> None:
        self.signal_number = 0
        self.received = 0.0  # when, on the monotonic clock

    def __call__(self) -> int:
        return self.signal_number

    def receive(self, signal_number: int, frame: FrameType | None) -> None:
        """Note a signal. A second one raises at once, wherever the work is."""
        now = time.monotonic()
        if self.signal_number and now - self.received > SECOND_PRESS:
            raise Interrupted("interrupted twice, stopped at once", signal_number)
        if not self.signal_number:
            self.signal_number, self.received = signal_number, now


def never_stop() -> int:
    """The stop request of a process that nobody asks to stop."""
    return 0


@contextmanager
def stop_requests() -> Iterator[Callable[[], int]]:
    """Within the block, SIGTERM and Ctrl-C only set the request that it yields; the work ends at its next safe point.

    Signals reach the main thread alone: in another one the request is never set.
    """
    request = StopRequest()
    with _handling({signal.SIGTERM: request.receive, signal.SIGINT: request.receive}):
        yield request


@contextmanager
def termination_raised() -> Iterator[None]:
    """Within the block, SIGTERM raises `Interrupted` as Ctrl-C raises KeyboardInterrupt: `finally` clauses run.

    Nothing changes where something else handles SIGTERM already, or in another than the main thread.
    """

    def terminate(signal_number: int, frame: FrameType | None) -> None:
        raise Interrupted("terminated", signal_number)

    unhandled = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with _handling({signal.SIGTERM: terminate} if unhandled else {}):
        yield


def ignore_stop_signals() -> None:
    """For a process that its parent ends: signals to the whole group or job are the parent's to answer."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def _handling(handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        handlers = {}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
