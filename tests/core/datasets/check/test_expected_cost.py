"""The cost of a training as the check tells it; `core.training.cost` measures."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from core.datasets.check.expected_cost import ExpectedCost, available_memory_mb, expected_cost, in_words

RUN = subprocess.run
COST = ExpectedCost(minutes=24.2, memory_mb=1638.4, device="cpu", threads=2, steps=1200)


def test_the_sentence_names_time_machine_and_memory():
    assert str(COST) == "about 25 minutes on this CPU with 2 threads, 1.6 GB of memory"
    one = ExpectedCost(0.2, 512.0, "cpu", 1, 3)
    assert str(one) == "about a minute on this CPU with 1 thread, 0.5 GB of memory"
    assert str(ExpectedCost(24.2, 1638.4, "cuda", 2, 3)) == "about 25 minutes on cuda, 1.6 GB of its memory"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(1.6, "2 minutes"), (9.4, "9 minutes"), (12.6, "15 minutes"), (101.0, "1.7 hours"), (660.0, "11 hours")],
)
def test_times_have_one_or_two_digits(minutes, words):
    assert in_words(minutes) == words


def answering(monkeypatch, code):
    """Lets a program stand for the measurement; returns the commands that were run."""
    commands = []

    def answer(command, **options):
        commands.append(command)
        return RUN([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "run", answer)
    return commands


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    """Whatever else this machine does."""
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 9.9, 9.9))


def test_the_measurement_gets_the_options_of_the_training(monkeypatch):
    commands = answering(monkeypatch, f"print('a warning'); print('{json.dumps(vars(COST))}')")
    assert expected_cost(["--recipe", "own"], threads=2) == COST
    assert commands == [[sys.executable, "-m", "core.training.cost", "--recipe", "own", "--threads", "2"]]
    expected_cost(["--recipe", "own"], threads=None)
    assert commands[1][-1] == "own"


def test_a_cost_measured_beside_other_work_says_so(monkeypatch):
    answering(monkeypatch, f"print('{json.dumps(vars(COST))}')")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    for load, busy in ((3.0, False), (3.1, True)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 0.0, 0.0))
        assert expected_cost([], None) == replace(COST, busy=busy)
    assert str(replace(COST, busy=True)) == f"{COST}, measured while the CPUs were busy: less where they are not"


@pytest.mark.parametrize("code", ["import os; os.kill(os.getpid(), 9)", "raise SystemExit('error: out of memory')"])
def test_a_training_that_gets_no_memory_has_no_cost(monkeypatch, code):
    answering(monkeypatch, code)
    assert expected_cost([], None) is None


def test_another_failure_is_told(monkeypatch):
    answering(monkeypatch, "raise SystemExit('first line\\nerror: no such thing')")
    with pytest.raises(ValueError, match=r"^no such thing$"):
        expected_cost([], None)
    answering(monkeypatch, "raise SystemExit(3)")
    with pytest.raises(ValueError, match="it ended with status 3"):
        expected_cost([], None)


def test_the_memory_of_this_machine_is_known():
    assert 16 < available_memory_mb() < float("inf")
