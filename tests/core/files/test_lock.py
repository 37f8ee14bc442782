"""A folder in which one process works is closed to others, and open again when it has ended."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.files.lock import LOCK, folder_lock

HOLD = """
import sys, time
from pathlib import Path
from core.files.lock import folder_lock
with folder_lock(Path(sys.argv[1]), "training"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_is_told_which_the_first_is(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a"
    command = [sys.executable, "-c", HOLD, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], **pipes) as first:
        assert first.stdout.readline() == b"held\n"
        holder = rf"process {first.pid} on {os.uname().nodename}"
        with pytest.raises(ValueError, match=rf"runs/a: another training uses this folder \({holder}\); wait"):
            folder_lock(folder, "training").__enter__()
        first.kill()
        first.wait()
        assert (folder / LOCK).exists()  # a killed process leaves the file, not the lock
        with folder_lock(folder, "training"):
            assert (folder / LOCK).read_text() == f"process {os.getpid()} on {os.uname().nodename}"
    assert list(folder.iterdir()) == []


def test_a_folder_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("core.files.lock.fcntl.lockf", refuse)
    with folder_lock(tmp_path, "training"):
        pass
    assert "no locks here (Function not implemented): start no second training in this folder" in caplog.text


def test_the_lock_of_a_holder_that_ends_just_now_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, removed = os.open, []

    def opened(path: Path, *given: int) -> int:
        file = original(path, *given)
        if not removed:  # the holder removes the file after it was opened here and before it is locked
            removed.append(path)
            path.unlink()
        return file

    monkeypatch.setattr("core.files.lock.os.open", opened)
    with folder_lock(tmp_path, "training"):
        assert (tmp_path / LOCK).exists()
    assert len(removed) == 1
