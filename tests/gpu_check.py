"""Check a GPU by one command: `make gpu`, or `python -m tests.gpu_check`; one JSON, written after each part.

Five parts: the tests marked `gpu`; value and gradient of every component against the CPU; training steps and inference
of the paper's R-50 recipe in float32, TF32 and bfloat16; the loading of photos; a short BoxInst training that must end
above a stated AP. Neither Ray nor MLflow nor DVC is needed. `--device cpu --small` runs all of it without a GPU.
"""

import argparse
import datetime
import json
import math
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torchvision

from core.compute.command import run_command
from core.compute.device import check_device, keep_freed_memory
from core.files.atomic import write_text
from tests.gpu.components import components
from tests.gpu.learning import learning
from tests.gpu.loading import loading
from tests.gpu.marked import marked_tests
from tests.gpu.speed import speed

OUT = Path("results/gpu_check.json")
PARTS = ("tests", "components", "speed", "loading", "learning")
SOME_FAILED = 1


def check(options: argparse.Namespace) -> int:
    """Run the parts one after the other; the file is written after each.

    Raises:
        ValueError: if the device does not exist.
    """
    check_device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    keep_freed_memory()
    record: dict[str, Any] = {"passed": None, "small": options.small, **machine(options.device), "parts": {}}
    started = time.perf_counter()
    for name in options.parts:
        record["parts"][name] = timed(partial(run_part, name, options, record["parts"]))
        print(summary(name, record["parts"][name]), flush=True)
        record["seconds"] = round(time.perf_counter() - started, 1)
        if len(record["parts"]) == len(options.parts):
            record["passed"] = all(part["passed"] for part in record["parts"].values())
        write_text(options.out, json.dumps(finite(record), indent=1, allow_nan=False) + "\n")
    print(f"{options.out}: {'passed' if record['passed'] else 'FAILED'} after {record['seconds']:.0f} s")
    return 0 if record["passed"] else SOME_FAILED


def run_part(name: str, options: argparse.Namespace, earlier: dict[str, Any]) -> dict[str, Any]:
    device, small = options.device, options.small
    if name == "tests":
        return marked_tests()
    if name == "components":
        return components(device, small=small)
    if name == "speed":
        return speed(device, small=small)
    if name == "loading":
        rate = step_rate(earlier.get("speed", {}))
        return loading(device, small=small, processes=options.loader_processes, images_per_second=rate)
    return learning(device, small=small, data_root=options.data_root, processes=options.loader_processes)


def step_rate(speed_part: dict[str, Any]) -> float | None:
    """Images a second of the fastest training step that was timed."""
    figures = [each for each in speed_part.get("figures", {}).values() if each is not None]
    return max((each["step"]["images_per_second"] for each in figures), default=None)


def timed(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The figures of a part with its seconds; a part that raises has failed, and the others go on."""
    started = time.perf_counter()
    try:
        figures = run()
    except Exception as error:
        trace = traceback.format_exc().splitlines()[-20:]
        figures = {"passed": False, "error": f"{type(error).__name__}: {error}", "traceback": trace}
    return {"passed": figures["passed"], "seconds": round(time.perf_counter() - started, 1)} | figures


def machine(device: str) -> dict[str, Any]:
    """What the figures were measured on."""
    on_gpu = torch.device(device).type == "cuda"
    gpu = torch.cuda.get_device_properties(device) if on_gpu else None
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "device": device,
        "gpu": None if gpu is None else {"name": gpu.name, "memory_mb": gpu.total_memory // 2**20},
        "driver": driver(),
        "cpu": {"name": processor(), "cores": os.cpu_count(), "threads": torch.get_num_threads()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if on_gpu else None,
        },
    }


def driver(path: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """The first line of what NVIDIA's driver says of itself; None without one."""
    return path.read_text().splitlines()[0].strip() if path.is_file() else None


def processor(path: Path = Path("/proc/cpuinfo")) -> str:
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def finite(value: Any) -> Any:
    """The value for JSON: what is not a finite number becomes null."""
    if isinstance(value, dict):
        return {str(key): finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def summary(name: str, part: dict[str, Any]) -> str:
    """One line for a part, and one for each thing that failed in it."""
    lines = [f"{name:12}{'passed' if part['passed'] else 'FAILED'} after {part['seconds']:.0f} s"]
    lines += [f"  {part['error']}"] if "error" in part else []
    lines += [f"  {line}" for line in part.get("failed_tests", [])]
    for component, each in part.get("components", {}).items():
        if not each["passed"]:
            lines.append(f"  {component}: {each.get('error', each.get('differences'))}")
    for setting, each in part.get("figures", {}).items():
        rates = "does not fit into memory" if each is None else ", ".join(map(_rate, each.items()))
        lines.append(f"  {setting}: {rates}")
    if "cores_that_feed_a_step" in part:
        lines.append(f"  {part['images_per_second_and_core']:.0f} images/s and core")
    if "mask_AP" in part:
        lines.append(f"  mask AP {part['mask_AP']:.1f}, expected above {part['mask_AP_required']:.1f}")
    return "\n".join(lines)


def _rate(measured: tuple[str, dict[str, Any]]) -> str:
    kind, figures = measured
    return f"{kind} {figures['images_per_second']:.1f} images/s, {figures['host_synchronizations']} synchronizations"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument("--small", action="store_true", help="small images and few steps, for a CPU")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file (default: %(default)s)")
    parser.add_argument("--data-root", type=Path, help="COCO-format folder to train on (default: generated shapes)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's choice)")
    processes = min(16, os.cpu_count() or 1)
    parser.add_argument("--loader-processes", type=int, default=processes, help="default: %(default)s")
    return run_command(partial(check, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
