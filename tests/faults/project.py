"""A project to hurt: the code of this one, a few images, a study of two short arms; and how its commands end."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
IMAGES = {"train": 16, "val": 8}
STEPS = 200  # of a training; an epoch has 4
STUDY = """
question: Does it survive?
source: none
expectation: none
arms:
  both: {supervision.mask_ratio: 0, loss.dice: 0}
  projection: {supervision.mask_ratio: 0, loss.dice: 0, loss.pairwise: 0}
"""
CODE = ("core", "experiments", "analysis")
LIMIT = 240  # seconds; a command that takes longer hangs


class Unexpected(Exception):
    """A command did not behave as it should after a fault."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed, without progress bars."""

    status: int
    said: str

    @property
    def message(self) -> str:
        """Its last line."""
        return self.said.splitlines()[-1] if self.said else ""

    def ended(self, status: int, pattern: str = "") -> "Done":
        """Raise `Unexpected` unless it ended with `status`, without a traceback, and said something like `pattern`."""
        if "Traceback (most recent call last)" in self.said:
            raise Unexpected(f"a traceback: {self.message}")
        if self.status != status:
            raise Unexpected(f"status {self.status}, expected {status}: {self.message}")
        if not re.search(pattern, self.said, re.IGNORECASE):
            raise Unexpected(f"no word of '{pattern}': {self.message}")
        return self


@dataclass(frozen=True)
class Project:
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "datasets" / "faults"

    @property
    def training(self) -> Path:
        return self.folder / "training"

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def start(self, words: Sequence[str], *, shell: str = "", **environment: str) -> "Running":
        """Start `python -m words` in a process group of its own; `shell` is run before, in the same shell."""
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        settings = inherited | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | environment
        out = self.folder / f"said-{time.monotonic_ns()}.txt"
        command = ["bash", "-c", f'{shell}\nexec "$@"', "bash", sys.executable, "-m", *words]
        if shell:
            command = ["unshare", "--mount", *command]  # a mount is seen by this command alone
        with out.open("w") as file:  # no pipe: a process that outlives the command would hold it open
            process = subprocess.Popen(
                command, cwd=self.folder, env=settings, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        return Running(process, out)

    def run(self, words: Sequence[str], *, shell: str = "", **environment: str) -> Done:
        return self.start(words, shell=shell, **environment).wait()

    def train_words(self, *more: str, loader_processes: int = 0, folder: Path | None = None) -> list[str]:
        words = ["core.train", "--recipe", "tiny", "--data-root", str(self.data)]
        words += ["--folder", str(folder or self.training), "--device", "cpu", "--threads", "1"]
        return [*words, "--loader-processes", str(loader_processes), "--set", f"training.steps={STEPS}", *more]

    def metrics(self) -> dict:
        """What the training wrote, to compare with one that nothing happened to."""
        return json.loads((self.training / "metrics.json").read_text())

    def results(self) -> list[str]:
        """The table of the study: arms, seeds, keys and AP."""
        return (self.folder / "results" / "faults.csv").read_text().splitlines()

    def keys(self) -> list[str]:
        """Keys of the finished trials."""
        return sorted(path.parent.name for path in self.store.glob("*/record.json"))


@dataclass
class Running:
    process: subprocess.Popen
    out: Path

    def said(self) -> str:
        lines = self.out.read_text(errors="replace").replace("\r", "\n").splitlines()
        return "\n".join(line.strip() for line in lines if line.strip() and "it/s" not in line)

    def wait(self) -> Done:
        try:
            status = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL, to_group=True)
            raise Unexpected(f"still running after {LIMIT} s: {self.said()[-200:]}") from None
        return Done(status, self.said())

    def send(self, number: int, *, to_group: bool = False) -> None:
        """Send a signal; a terminal sends Ctrl-C to all processes of the group. Raises `Unexpected` if it has ended."""
        if self.process.poll() is not None:
            raise Unexpected(f"ended before the fault: {Done(self.process.returncode, self.said()).message}")
        (os.killpg if to_group else os.kill)(self.process.pid, number)

    def until(self, holds: Callable[[], bool]) -> "Running":
        """Wait until `holds`; raises `Unexpected` if the command ends before."""
        while not holds():
            if self.process.poll() is not None:
                raise Unexpected(f"ended before the fault: {Done(self.process.returncode, self.said()).message}")
            time.sleep(0.01)
        return self


SWEEP = ("experiments.run", "--all")
SWEEP_IN_PROCESS = (*SWEEP, "--in-process")


def build(folder: Path) -> Project:
    """Write a project to `folder`: code, data, a study; nothing is trained yet."""
    project = Project(folder)
    folder.mkdir(parents=True)
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "experiments" / "studies" / "faults.yaml").write_text(STUDY)
    (folder / "experiments" / "sets" / "faults.yaml").write_text("recipe: tiny\nstudies: [faults]\n")
    params = {"set": "faults", "seeds": [0], "settings": {"training.steps": STEPS}, "resources": {"parallel_trials": 2}}
    (folder / "params.yaml").write_text(json.dumps(params))
    source = ROOT / "datasets" / "smoke"
    for split, number in IMAGES.items():
        content = json.loads((source / f"instances_{split}.json").read_text())
        content["images"] = content["images"][:number]
        kept = {image["id"] for image in content["images"]}
        content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] in kept]
        (project.data / split).mkdir(parents=True)
        for image in content["images"]:
            shutil.copy(source / split / image["file_name"], project.data / split)
        (project.data / f"instances_{split}.json").write_text(json.dumps(content))
    return project


def flip_bit(path: Path, place: float) -> None:
    """Change one bit of a file, at a share `place` of its length."""
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)
