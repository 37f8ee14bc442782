"""Ray that does not start, hangs, or is not where `RAY_ADDRESS` says: a limit, a second attempt, one sentence."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from experiments.parallel import start as start_module
from experiments.parallel.start import start_ray
from experiments.params import Resources

STUCK = """
import ctypes
from experiments.parallel import start
start.START_SECONDS = start.STUCK_SECONDS = 0.2
libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
def locked(**options):
    for _ in range(2):  # the second waits for the first, in a library, for ever
        libc.pthread_mutex_lock(mutex)
start.ray.init = locked
start.start_ray(start.Resources())
"""


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "TUNE_DISABLE_SIGINT_HANDLER", "RAY_OVERRIDE_JOB_RUNTIME_ENV"):
        monkeypatch.setenv(name, "1")  # which the start sets, for good


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of this machine at which nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_start_that_hangs_is_ended_with_all_it_started_and_tried_once_more(monkeypatch, capsys) -> None:
    started: list[subprocess.Popen] = []

    def hangs_once(**options: object) -> None:
        if not started:
            started.append(subprocess.Popen(["sleep", "60"]))
            while True:
                try:
                    time.sleep(60)
                except Exception:
                    continue

    monkeypatch.setattr(start_module, "START_SECONDS", 0.2)
    monkeypatch.setattr(start_module.ray, "init", hangs_once)
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        start_ray(Resources())
        assert started[0].wait(10) == -9
        assert bystander.poll() is None
    finally:
        bystander.kill()
    said = capsys.readouterr().err
    assert said == "Ray did not start: it was not ready after 0.2 s; trying once more\n"


def test_a_start_that_fails_twice_is_one_sentence(monkeypatch, capsys) -> None:
    calls: list[dict] = []

    def fails(**options: object) -> None:
        calls.append(options)
        raise Exception("The current node timed out during startup.\nThis could happen ...")

    monkeypatch.setattr(start_module.ray, "init", fails)
    with pytest.raises(OSError, match=r"^Ray did not start, 2 attempts: The current node timed out.*--in-process"):
        start_ray(Resources(parallel_trials=3, cpus_per_trial=2))
    assert [call["num_cpus"] for call in calls] == [6, 6]
    assert {call["address"] for call in calls} == {"local"}  # never a Ray of others on this machine
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("cpus_per_trial", [1, 2])
def test_processes_load_what_a_trial_needs_where_each_gets_one(monkeypatch, cpus_per_trial: int) -> None:
    names = ("RAY_preload_python_modules", "PYTHONPATH", "OMP_NUM_THREADS")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(start_module.ray, "init", lambda **options: seen.append({**os.environ}))
    start_ray(Resources(parallel_trials=2, cpus_per_trial=cpus_per_trial))
    root = str(Path(start_module.__file__).parents[2])
    expected = ("experiments.parallel.trainable", f"{root}{os.pathsep}elsewhere", "1")
    assert tuple(map(seen[0].get, names)) == (expected if cpus_per_trial == 1 else (None, "elsewhere", None))
    assert tuple(map(os.environ.get, names)) == (None, "elsewhere", None)  # it is for Ray's processes alone


def test_a_start_that_never_returns_to_python_ends_the_process_with_a_sentence() -> None:
    done = subprocess.run([sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: Ray did not start; lower the load")
    assert done.stderr.count("\n") == 1


def test_an_address_where_nobody_answers_is_named_at_once(monkeypatch, free_port: int) -> None:
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port}")
    monkeypatch.setattr(start_module.ray, "init", lambda **options: pytest.fail("Ray would wait for minutes"))
    with pytest.raises(OSError, match=rf"RAY_ADDRESS is 127\.0\.0\.1:{free_port}, where nobody answers \(Conn"):
        start_ray(Resources())


@pytest.mark.parametrize("address", ["", "here", "http://a:1", "a:b"])
def test_what_is_no_address_is_refused(monkeypatch, address: str) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ValueError, match=f"RAY_ADDRESS is '{address}', expected host:port"):
        start_ray(Resources())


def test_an_address_of_ray_client_is_refused_with_the_way_out(monkeypatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://127.0.0.1:10001")
    with pytest.raises(ValueError, match=r"is for Ray Client, .* with RAY_ADDRESS=auto, or .* `ray job submit`"):
        start_ray(Resources())


def test_a_port_where_another_server_answers_is_given_up_after_the_limit_for_joining(monkeypatch, capsys) -> None:
    monkeypatch.setattr(start_module, "JOIN_SECONDS", 0.2)
    monkeypatch.setattr(start_module.ray, "init", lambda **options: time.sleep(60))
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(OSError, match=rf"no Ray at RAY_ADDRESS={address}, 2 attempts: it was not ready after 0\.2"):
            start_ray(Resources())
    assert capsys.readouterr().err.count("\n") == 1


def test_a_server_that_answers_is_joined_as_it_is(monkeypatch, tmp_path: Path) -> None:
    calls: list[dict] = []
    monkeypatch.setattr(start_module.ray, "init", lambda **options: calls.append(options))
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{server.getsockname()[1]}")
        start_ray(Resources(), tmp_path)
    sent = {"runtime_env": {"working_dir": str(tmp_path)}}
    assert calls == [{"log_to_driver": False, "logging_level": "ERROR"} | sent]
    assert not any(child.name() == "raylet" for child in psutil.Process().children())
