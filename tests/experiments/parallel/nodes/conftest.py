"""Clusters on this machine: each node is a raylet of its own, and may be blind to folders of this machine."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import ray

ROOT = Path(__file__).parents[4]
# What a node that lacks the project does not see: all of it but the packages, which may be installed inside of it.
PROJECT = [path for path in ROOT.iterdir() if path.is_dir() and not Path(sys.prefix).is_relative_to(path)]
START_SECONDS = 120.0
NAMESPACES = ["unshare", "--map-root-user", "--mount", "--uts"]


def needs_namespaces() -> pytest.MarkDecorator:
    works = subprocess.run([*NAMESPACES, "true"], check=False, capture_output=True).returncode == 0
    return pytest.mark.skipif(not works, reason="this system grants no namespaces (unshare)")


class Machines:
    """A cluster: a head, which the driver is connected to and no trial runs on, and nodes with a name each."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="nodes-", dir="/tmp"))  # Ray's sockets need short paths
        self.started: dict[str, subprocess.Popen] = {}
        with socket.socket() as found:
            found.bind(("", 0))
            self.port = found.getsockname()[1]
        self.address = f"{ray.util.get_node_ip_address()}:{self.port}"
        head = ["--head", f"--port={self.port}", "--num-cpus=0", "--include-dashboard=false"]
        self._start("head", [*head, f"--temp-dir={self.folder}"], [])

    def add(self, name: str, *, cpus: int = 1, blind_to: Sequence[Path] = (), inside: Sequence[str] = ()) -> None:
        """Start a node whose host name is `name`, and for which these folders are empty; it has a cache of its own.

        Nor does it see where the others unpack the code: machines share no such folder.

        `inside` are commands that run in its namespace before.
        """
        unpacked = (self.folder / "session_latest").resolve() / "runtime_resources"
        unpacked.mkdir(exist_ok=True)
        mounts = [f"mount -t tmpfs none {folder}" for folder in (unpacked, *blind_to)]
        commands = " && ".join([f"hostname {name}", *mounts, *inside, 'exec "$0" "$@"'])
        prefix = [*NAMESPACES, "sh", "-c", commands]
        self._start(name, [f"--address={self.address}", f"--num-cpus={cpus}"], prefix)

    def kill(self, name: str) -> None:
        """As a power cut does: all processes of a node at once."""
        parent = psutil.Process(self.started[name].pid)
        for process in [parent, *parent.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def end(self) -> None:
        for name, process in self.started.items():
            if process.poll() is None:
                self.kill(name)
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def cache(self, name: str) -> Path:
        return self.folder / f"cache-{name}"

    def _start(self, name: str, words: Sequence[str], prefix: Sequence[str]) -> None:
        command = [*prefix, sys.executable, "-m", "ray.scripts.scripts", "start", *words, "--block"]
        command += ["--object-store-memory=200000000", "--min-worker-port=0", "--max-worker-port=0"]
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RAY_ADDRESS")}
        environment["XDG_CACHE_HOME"] = str(self.cache(name))
        said = self.folder / f"{name}.txt"
        with said.open("w") as out:
            self.started[name] = subprocess.Popen(
                command, cwd="/", env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while "Ray runtime started" not in said.read_text():
            time.sleep(0.2)
            late = time.monotonic() > deadline or self.started[name].poll() is not None
            assert not late, f"{name} did not start:\n{said.read_text()}"


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """A cluster without a node for trials yet, at `RAY_ADDRESS`."""
    cluster = Machines()
    try:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        yield cluster
    finally:
        cluster.end()
