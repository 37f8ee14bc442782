"""Whether memory stays flat over a long training and many predictions: `make soak`, or `python -m tests.soak`.

A small network is trained for 2,000 steps, in many epochs, with an evaluation and a checkpoint after each; then it
annotates images 500 times. Resident memory is read after each epoch and each prediction. After the first fifth of each
(allocator, caches, kernels) its median must stay within 3 % from the first to the last quarter of the rest. Exit status
1 if it does not.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import psutil
import torch
from tqdm import tqdm

from core.compute.command import run_command
from core.compute.compute import Compute
from core.compute.device import keep_freed_memory
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.datasets.coco import load_validation_set
from core.datasets.loader import BatchLoader
from core.datasets.sources.shapes import generate
from core.evaluation.postprocess import detect
from core.training.loop import train

WARM_UP = 0.2  # share of the readings that do not count
BOUND = 0.03
BATCH_SIZE, STEPS_PER_EPOCH = 4, 20


def resident_mb() -> float:
    """Resident memory of this process and the processes that load images for it, MiB."""
    process = psutil.Process()
    everyone = [process, *process.children(recursive=True)]
    return sum(member.memory_info().rss for member in everyone) / 2**20


def growth(readings: Sequence[float]) -> float:
    """Relative change of the median from the first to the last quarter of the readings after warm-up."""
    counted = readings[int(WARM_UP * len(readings)) :]
    quarter = max(len(counted) // 4, 1)
    first, last = statistics.median(counted[:quarter]), statistics.median(counted[-quarter:])
    return last / first - 1


def report(work: str, readings: Sequence[float]) -> bool:
    """Print one line; returns whether memory stayed flat."""
    flat = abs(growth(readings)) <= BOUND
    counted = readings[int(WARM_UP * len(readings)) :]
    print(
        f"{work}: resident memory {min(counted):.0f} to {max(counted):.0f} MiB after warm-up, "
        f"{growth(readings):+.1%} from the first to the last quarter: {'flat' if flat else 'NOT flat'}",
        flush=True,
    )
    return flat


def soak(options: argparse.Namespace, folder: Path) -> int:
    generate(folder / "shapes", {"train": BATCH_SIZE * STEPS_PER_EPOCH, "val": 8}, seed=0, size=96)
    epochs = max(options.steps // STEPS_PER_EPOCH, 1)
    difference = {
        "data": {"root": str(folder / "shapes")},
        "training": {"steps": None, "epochs": epochs, "batch_size": BATCH_SIZE, "evaluate_every": 1},
    }
    config = build_config(merge(load_recipe("tiny"), difference), "recipe tiny")
    readings: list[float] = []
    bar = tqdm(total=epochs, unit="epoch", disable=not sys.stderr.isatty())

    def on_epoch(numbers: dict[str, float]) -> None:
        readings.append(resident_mb())
        bar.update()

    compute = Compute(loader_processes=options.loader_processes)
    model = train(config, 0, compute, folder=folder / "run", on_epoch=on_epoch).model.eval()
    bar.close()
    flat = report(f"training, {epochs * STEPS_PER_EPOCH} steps", readings)

    dataset = load_validation_set(config.data)
    thresholds = config.inference.model_dump(exclude={"batch_size"}) | {"score_threshold": 0.0}
    readings = []
    with BatchLoader(dataset, 0) as loader, torch.inference_mode():
        for number in tqdm(range(options.predictions), unit="prediction", disable=not sys.stderr.isatty()):
            detect(model, next(loader.load([[number % len(dataset)]], 0)), **thresholds)
            readings.append(resident_mb())
    return 0 if report(f"{options.predictions} predictions", readings) and flat else 1


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2000, help="training steps (default: %(default)s)")
    parser.add_argument("--predictions", type=int, default=500, help="images to predict (default: %(default)s)")
    parser.add_argument("--loader-processes", type=int, default=2, help="default: %(default)s")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    with tempfile.TemporaryDirectory() as folder:
        return run_command(partial(soak, options, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
