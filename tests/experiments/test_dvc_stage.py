"""A stage ends when DVC ends; a process that DVC did not start does not depend on its parent."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAGE = """
import signal, sys, time
from pathlib import Path
from experiments.dvc_stage import end_with_dvc
end_with_dvc()
signal.signal(signal.SIGTERM, lambda *arguments: sys.exit(Path("ended").touch()))
Path("started").touch()
time.sleep(2)
Path("slept").touch()
"""
DVC = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.parametrize(("of_dvc", "found"), [({"DVC_STAGE": "sweep"}, "ended"), ({}, "slept")])
def test_a_stage_gets_sigterm_when_dvc_dies(tmp_path: Path, of_dvc: dict[str, str], found: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DVC_STAGE"}
    environment |= of_dvc | {"PYTHONPATH": str(ROOT)}
    parent = subprocess.Popen([sys.executable, "-c", DVC, STAGE], cwd=tmp_path, env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    while not any((tmp_path / name).exists() for name in ("ended", "slept")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([found, "started"])
