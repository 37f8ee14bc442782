"""One thread that makes calls in their order, so that whoever asks for them does not wait."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import Full, Queue
from typing import Any

Call = Callable[[], Any]


class Background:
    """Unlike the threads of an executor, this one does not keep the process from ending when it hangs in a call.

    most_waiting: calls that wait at the same time.
    when_idle: called after a call when no other waits.
    """

    def __init__(self, most_waiting: int, when_idle: Call) -> None:
        self._calls: Queue[Call] = Queue(most_waiting)
        self._when_idle = when_idle
        self._active = time.monotonic()
        threading.Thread(target=self._work, name="background", daemon=True).start()

    def put(self, call: Call) -> None:
        """Have a call made, which must not raise, as soon as those before it are done; dropped if too many wait."""
        with suppress(Full):
            self._calls.put_nowait(call)

    def ask(self, call: Call, seconds: float) -> Any:
        """Wait for the result of a call, or raise what it raises.

        Raises:
            TimeoutError: after so many seconds.
        """
        answer: Future = Future()
        self._calls.put(_answering(call, answer))
        if not wait([answer], timeout=seconds).done:
            raise TimeoutError(f"no answer for {seconds:.0f} s")
        return answer.result()

    def sign_of_life(self) -> None:
        """Told by a long call that it makes progress."""
        self._active = time.monotonic()

    def finish(self, call: Call, *, seconds: float, silent_seconds: float) -> Any:
        """Wait for the calls before and the result of a last one.

        Raises:
            TimeoutError: after `seconds`, or after `silent_seconds` without a sign of life.
        """
        answer: Future = Future()
        self.sign_of_life()
        deadline = time.monotonic() + seconds
        is_queued = False
        while not answer.done():
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"not all was sent within {seconds:.0f} s")
            if now > self._active + silent_seconds:
                raise TimeoutError(f"no answer for {silent_seconds:.0f} s")
            if not is_queued:
                with suppress(Full):
                    self._calls.put(_answering(call, answer), timeout=0.1)
                    is_queued = True
            wait([answer], timeout=0.1)
        return answer.result()

    def _work(self) -> None:
        while True:
            self._calls.get()()
            self.sign_of_life()
            if self._calls.empty():
                self._when_idle()


def _answering(call: Call, answer: Future) -> Call:
    """A call that never raises: it tells its result, or what it raised, to the one who waits for it."""

    def work() -> None:
        try:
            answer.set_result(call())
        except Exception as error:
            answer.set_exception(error)

    return work
