"""Cost of one training image of the recipe `shapes`, all in and by parts, on one thread: part of `make bench`."""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import torch
from torch.utils.flop_counter import FlopCounterMode

from core.compute.device import keep_freed_memory
from core.compute.precision import network_precision
from core.compute.workers import ALONE
from core.config.file import build_config, read_yaml
from core.datasets.coco import load_training_set
from core.datasets.loader import BatchLoader
from core.model.build import build_model
from core.training import step as training_step
from core.training.effective_batch import total_steps
from core.training.epoch import epoch_batches
from core.training.optimizer import build_optimizer
from tests.benchmarks.form import Line, tell

STEPS = 60  # timed optimizer steps
RECIPE = Path(__file__).parents[2] / "experiments" / "recipes" / "shapes.yaml"


@contextmanager
def timed_parts(model: torch.nn.Module, seconds: dict[str, float]) -> Iterator[None]:
    """Add up what the calls below take; the numbers of parts exclude the parts that are called inside them."""

    def timed(name: str, function: Callable) -> Callable:
        def call(*args, **kwargs):
            started = time.perf_counter()
            result = function(*args, **kwargs)
            seconds[name] += time.perf_counter() - started
            return result

        return call

    with ExitStack() as stack:
        for owner, attribute, name in [
            (training_step, "assign", "targets"),
            (training_step, "select_positives", "targets"),
            (training_step, "build_mask_targets", "targets"),
            (training_step, "criterion", "losses, forward"),
            (model, "forward", "network, forward"),
            (model.backbone, "forward", "  backbone, forward"),
            (model, "predict_masks", "mask head, forward"),
            (torch.Tensor, "backward", "backward"),
        ]:
            stack.enter_context(mock.patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        yield


def matrix_flops(size: int = 1024, repeats: int = 5) -> float:
    """Floating-point operations a second of a product of two matrices, at its best."""
    factor = torch.rand(size, size)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        factor @ factor
        times.append(time.perf_counter() - started)
    return 2 * size**3 / min(times)


def measure(*, quick: bool, root: str | None = None) -> list[Line]:
    """An image all in, with the time of its arithmetic at the rate of matrix products as its floor, and its parts."""
    steps, warm_up = (1, 1) if quick else (STEPS, 10)
    torch.set_num_threads(1)
    keep_freed_memory()
    settings = read_yaml(RECIPE)
    settings["data"]["root"] = root or ("datasets/smoke" if quick else "datasets/shapes")
    config = build_config(settings, str(RECIPE))
    dataset = load_training_set(config.data, config.supervision, seed=0)
    torch.manual_seed(0)
    model = build_model(config.model, dataset.num_classes).to(memory_format=torch.channels_last)
    model.train()
    optimizer = build_optimizer(model, config.training)
    loader = BatchLoader(dataset, processes=0)
    length = total_steps(config.training, len(dataset), num_workers=1)
    batch_size = config.training.batch_size

    def run(first: int, count: int, seconds: dict[str, float]) -> float:
        """Mean seconds per image over `count` steps that begin with step `first` of the schedule."""
        batches = loader.load(epoch_batches(len(dataset), config.training, ALONE, seed=0, epoch=0), epoch=0)
        started = time.perf_counter()
        for step in range(first, first + count):
            before = time.perf_counter()
            batch = next(batches)
            seconds["data"] += time.perf_counter() - before
            training_step.train_step(model, optimizer, [batch], config, step=step, steps=length, seed=0)
        return (time.perf_counter() - started) / (count * batch_size)

    run(0, warm_up, defaultdict(float))  # allocator, kernels, file cache
    whole = run(warm_up, steps, defaultdict(float))
    seconds: dict[str, float] = defaultdict(float)
    with timed_parts(model, seconds):
        run(warm_up, steps, seconds)

    with FlopCounterMode(display=False) as counted:  # of convolutions and products, in both directions, where computed
        run(warm_up, 1, defaultdict(float))
    floor = counted.get_total_flops() / batch_size / matrix_flops()
    precision = network_precision(config.training.precision, "cpu")
    name = f"training image of recipe shapes, batch {batch_size}, {precision}, one thread"
    against = "its arithmetic as matrix products"
    return [Line(name, 1e3 * whole, "ms", 1e3 * floor, against)] + [
        Line(f"- {part.strip()}", 1e3 * value / (steps * batch_size), "ms") for part, value in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="the generated data set (default: datasets/shapes)")
    tell(measure(quick=False, root=parser.parse_args().root))


if __name__ == "__main__":
    main()
