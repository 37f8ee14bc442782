"""One process at a time is within the block; the next waits, and says so once."""

import fcntl
import multiprocessing
import threading
import time
from pathlib import Path

import pytest

from core.files.lock import exclusive


def append_in_turn(path: Path, letter: str) -> None:
    """Write a letter at the beginning and at the end of the block."""
    with exclusive(path.with_name("lock")):
        for _ in range(2):
            with path.open("a") as file:
                file.write(letter)
            time.sleep(0.02)


def hold(path: Path) -> None:
    with exclusive(path):
        path.with_name("held").touch()
        time.sleep(60)


def test_no_two_processes_are_within_the_block(tmp_path: Path) -> None:
    path = tmp_path / "letters"
    processes = [multiprocessing.get_context("fork").Process(target=append_in_turn, args=(path, x)) for x in "abcd"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    letters = path.read_text()
    assert sorted(letters[::2]) == ["a", "b", "c", "d"]
    assert letters[::2] == letters[1::2]


def test_a_killed_process_holds_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    process = multiprocessing.get_context("fork").Process(target=hold, args=(tmp_path / "lock",))
    process.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.01)
    with (tmp_path / "lock").open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    threading.Timer(0.2, process.kill).start()
    with exclusive(tmp_path / "lock", while_waiting="waiting for another process") as alone:
        assert alone
    assert capfd.readouterr().err == "waiting for another process\n"
    process.join()


def test_without_locks_the_work_is_done_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*arguments: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with exclusive(tmp_path / "folder" / "lock") as alone:
        assert not alone
