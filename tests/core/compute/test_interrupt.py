"""What SIGTERM and Ctrl-C do to a process, by what it is doing."""

import os
import signal
import threading

import pytest

from core.compute import interrupt
from core.compute.compute import Compute
from core.compute.interrupt import Interrupted, Stopped, never_stop, stop_requests, termination_raised


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_to_stop_waits_until_it_is_asked_for(number: int) -> None:
    before = signal.getsignal(number)
    with stop_requests() as stop:
        assert stop() == 0
        send(number)
        send(signal.SIGTERM)  # `timeout` sends it twice
        assert stop() == number
        name = signal.Signals(number).name
        with pytest.raises(Stopped, match=f"^stopped by {name} after 3 of 4 steps$") as stopped:
            Compute(stop=stop).check_stop("3 of 4 steps")
        assert stopped.value.signal_number == number
    assert signal.getsignal(number) is before
    Compute(stop=never_stop).check_stop("all")


def test_control_c_again_ends_at_once_but_not_the_same_one_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_requests():
        send(signal.SIGINT)
        send(signal.SIGINT)
        monkeypatch.setattr(interrupt, "SECOND_PRESS", -1.0)
        with pytest.raises(Interrupted, match="interrupted twice, stopped at once"):
            send(signal.SIGINT)


def test_termination_raises_where_nothing_else_handles_it() -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with termination_raised(), pytest.raises(Interrupted, match="terminated") as terminated:
        send(signal.SIGTERM)
    assert terminated.value.signal_number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with stop_requests() as stop, termination_raised():
        send(signal.SIGTERM)
        assert stop() == signal.SIGTERM


def test_other_threads_are_never_asked() -> None:
    def work() -> None:
        with stop_requests() as stop, termination_raised():
            found.append(stop())

    found: list[int] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [0]
