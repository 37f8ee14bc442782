"""How a sweep stops: trials first, then Tune, and SIGTERM is held back while Ray has handlers of its own."""

import io
import signal
import subprocess
import sys
import threading
from pathlib import Path

from experiments.jobs import list_jobs
from experiments.parallel import stop as stop_module
from experiments.parallel.stop import (
    STOP_SECONDS,
    SweepStop,
    holds_sigterm_back,
    killed_when_told_to_end,
    read_flag,
    sigterm_held_back,
)
from experiments.progress import Progress
from experiments.study import Study


def test_trials_are_told_to_stop_and_waited_for_before_tune_is(
    study: Study, tmp_path: Path, made_from, monkeypatch
) -> None:
    told, number = [], 0
    monkeypatch.setattr(signal, "raise_signal", told.append)
    progress = Progress(list_jobs(study, made_from), 1, stream=io.StringIO())
    stop = SweepStop(lambda: number, tmp_path / "stop", progress)
    stop.running |= {"a", "b"}
    stop.proceed()
    assert (read_flag(stop.flag), told) == (0, [])
    number = signal.SIGTERM
    stop.proceed()
    stop.running.discard("a")
    stop.proceed()
    assert (read_flag(stop.flag), told) == (signal.SIGTERM, [])
    stop.running.discard("b")
    stop.proceed()
    assert told == [signal.SIGUSR1]
    assert progress.stream.getvalue().count("\n") == 1


def test_trials_that_do_not_end_are_given_up(study: Study, tmp_path: Path, made_from, monkeypatch) -> None:
    told, now = [], 0.0
    monkeypatch.setattr(signal, "raise_signal", told.append)
    monkeypatch.setattr(stop_module.time, "monotonic", lambda: now)
    progress = Progress(list_jobs(study, made_from), 1, stream=io.StringIO())
    stop = SweepStop(lambda: signal.SIGTERM, tmp_path / "stop", progress)
    stop.running.add("a")
    stop.proceed()
    now = STOP_SECONDS
    stop.proceed()
    assert told == []
    now += 0.1
    stop.proceed()
    assert told == [signal.SIGUSR1]


def test_sigterm_waits_while_ray_has_handlers_of_its_own() -> None:
    def native(*arguments: object) -> None:
        raise AssertionError("Ray aborts")

    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        with sigterm_held_back():
            signal.signal(signal.SIGTERM, native)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
            assert received == []
        assert received == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_children_that_hold_sigterm_back_are_killed_once_they_are_told_to_end() -> None:
    waits = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with sigterm_held_back():
        told, other = (subprocess.Popen(waits, stdout=subprocess.PIPE, text=True) for _ in range(2))
    try:
        for child in (told, other):
            assert child.stdout.readline() == "up\n"
        told.terminate()
        assert told.poll() is None
        assert holds_sigterm_back(told.pid)
        assert not holds_sigterm_back(other.pid)
        with killed_when_told_to_end():
            assert told.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for child in (told, other):
            child.kill()
            child.communicate()
    assert not holds_sigterm_back(told.pid)  # which is gone
