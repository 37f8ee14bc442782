"""A head that is gone ends the sweep in one sentence, also where Ray keeps the driver's thread."""

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from experiments.parallel.nodes import watch as watch_module
from experiments.parallel.nodes.watch import HeadLost, answers, head_watched

STUCK = """
import ctypes
from experiments.parallel.nodes import watch
watch.LOOK_SECONDS = watch.GONE_SECONDS = watch.STUCK_SECONDS = 0.1
libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
with watch.head_watched("127.0.0.1:1"):
    for _ in range(2):  # the second waits for the first, in a library, for ever
        libc.pthread_mutex_lock(mutex)
"""
ENDS = """
from experiments.parallel.nodes import watch
import time

watch.END_SECONDS = 0.2
watch.leave_ray()
time.sleep(60)
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Short times; the list gets an entry where Ray is left as it is."""
    left: list[str] = []
    for name in ("LOOK_SECONDS", "GONE_SECONDS"):
        monkeypatch.setattr(watch_module, name, 0.2)
    monkeypatch.setattr(watch_module, "leave_ray", lambda: left.append("left"))
    return left


def test_a_head_that_stops_answering_ends_the_block_in_a_sentence(quick: list[str]) -> None:
    before = signal.getsignal(signal.SIGALRM)
    server = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{server.getsockname()[1]}"
    threading.Timer(0.5, server.close).start()
    started = time.monotonic()
    with pytest.raises(HeadLost, match=rf"head at {address} does not answer any more; start"), head_watched(address):
        time.sleep(60)
    assert time.monotonic() - started > 0.5
    assert quick == ["left"]
    assert signal.getsignal(signal.SIGALRM) == before


def test_while_it_answers_nothing_happens_and_errors_are_those_of_the_block(quick: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with head_watched(address):
            time.sleep(0.6)
        with pytest.raises(KeyError), head_watched(address):
            raise KeyError("of the block")
    assert quick == []


def test_what_ray_raises_when_its_head_is_gone_is_the_same_sentence(quick: list[str]) -> None:
    with pytest.raises(HeadLost, match="does not answer any more"), head_watched("127.0.0.1:1"):
        raise RuntimeError("RpcError: Deadline Exceeded")
    assert quick == ["left"]


def test_a_driver_that_ray_does_not_let_go_ends_with_the_sentence() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the cluster's head at 127.0.0.1:1 does not answer any more")
    assert done.stderr.count("\n") == 1


def test_a_driver_that_does_not_get_to_its_end_is_ended() -> None:
    assert subprocess.run([sys.executable, "-c", ENDS], timeout=120).returncode == 2


def test_an_address_answers_or_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert answers(f"127.0.0.1:{port}")
    assert not answers(f"127.0.0.1:{port}")
