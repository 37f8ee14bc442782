"""Calls that another thread makes: in order, without waiting, and for a limited time at the end."""

import threading
import time

import pytest

from experiments.tracking.background import Background


def nothing() -> None:
    pass


def test_calls_are_made_in_order_and_nobody_waits_for_them() -> None:
    made: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.05)
        made.append(number)

    background = Background(100, nothing)
    started = time.monotonic()
    for number in range(10):
        background.put(lambda number=number: slow(number))
    assert time.monotonic() - started < 0.05
    assert background.finish(lambda: [*made], seconds=10, silent_seconds=10) == list(range(10))


def test_calls_beyond_the_bound_are_dropped() -> None:
    made: list[int] = []
    go_on = threading.Event()
    background = Background(2, nothing)
    background.put(go_on.wait)
    time.sleep(0.1)  # it is being made now
    for number in range(5):
        background.put(lambda number=number: made.append(number))
    go_on.set()
    background.ask(nothing, seconds=10)
    assert made == [0, 1]


def test_an_answer_comes_back_and_so_does_an_error() -> None:
    background = Background(2, nothing)
    assert background.ask(lambda: 7, seconds=10) == 7
    with pytest.raises(KeyError, match="x"):
        background.ask(lambda: {}["x"], seconds=10)
    with pytest.raises(KeyError, match="x"):
        background.finish(lambda: {}["x"], seconds=10, silent_seconds=10)


def test_idle_is_said_when_nothing_waits() -> None:
    said: list[str] = []
    background = Background(9, lambda: said.append("idle"))
    go_on = threading.Event()
    background.put(go_on.wait)
    background.put(lambda: said.append("call"))
    go_on.set()
    background.ask(nothing, seconds=10)
    time.sleep(0.1)
    assert said[0] == "call"
    assert said[-1] == "idle"


@pytest.mark.parametrize("most_waiting", [1, 9])
def test_the_end_waits_for_a_limited_time(most_waiting: int) -> None:
    hangs = threading.Event()
    background = Background(most_waiting, nothing)
    for _ in range(3):
        background.put(hangs.wait)
    with pytest.raises(TimeoutError, match=r"not all was sent within 0 s"):
        background.finish(nothing, seconds=0.2, silent_seconds=10)
    with pytest.raises(TimeoutError, match=r"no answer for 0 s"):
        background.finish(nothing, seconds=10, silent_seconds=0.2)
    hangs.set()


def test_an_answer_is_waited_for_a_limited_time() -> None:
    hangs = threading.Event()
    with pytest.raises(TimeoutError, match="no answer for 0 s"):
        Background(9, nothing).ask(hangs.wait, seconds=0.1)
    hangs.set()


def test_a_long_last_call_that_makes_progress_is_waited_for() -> None:
    background = Background(9, nothing)

    def long() -> str:
        for _ in range(6):
            time.sleep(0.1)
            background.sign_of_life()
        return "done"

    assert background.finish(long, seconds=10, silent_seconds=0.4) == "done"
