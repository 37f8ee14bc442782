"""The form of all benchmarks: lines with what each is compared with, and the machine that they were measured on.

A benchmark is a module `bench_<name>.py` with `measure(quick)`, which returns its lines. Quick shows that it runs; its
numbers mean nothing.
"""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from core.files.atomic import write_text

PACKAGES = ("torch", "torchvision", "numpy", "ray", "mlflow", "dvc", "pycocotools", "hotcoco")


@dataclass(frozen=True)
class Line:
    """One measured value. `reference` is what it is compared with, in words `against`; None: nothing is."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    against: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the reference the value is."""
        return self.value / self.reference if self.reference else None


def machine() -> dict[str, Any]:
    """Device, cores, threads of torch, and versions."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cpu = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return {
        "device": gpu or f"cpu {cpu}",
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),  # of all processes when the benchmark ended
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def table(lines: Sequence[Line]) -> str:
    """Markdown: value, what it is compared with, and their ratio."""
    rows = ["| what | measured | compared with | ratio |", "|---|---:|---:|---:|"]
    for line in lines:
        compared = "" if line.reference is None else f"{line.against}: {line.reference:,.4g} {line.unit}"
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}" if line.ratio > 0.5 else f"1/{1 / line.ratio:.3g}"
        rows.append(f"| {line.name} | {line.value:,.4g} {line.unit} | {compared} | {ratio} |")
    return "\n".join(rows)


def as_json(lines: Sequence[Line], where: dict[str, Any], *, quick: bool) -> str:
    return json.dumps({"quick": quick, "machine": where, "lines": [asdict(line) for line in lines]}, indent=1)


def tell(lines: Sequence[Line], path: Path | None = None, *, quick: bool = False) -> None:
    """Print the table and the machine, and write both as JSON if a path is given."""
    where = machine()
    print(table(lines), end="\n\n")
    print(", ".join(f"{name} {value}" for name, value in where.items() if name != "versions"))
    print(", ".join(f"{name} {number}" for name, number in where["versions"].items()))
    if path is not None:
        write_text(path, as_json(lines, where, quick=quick))
