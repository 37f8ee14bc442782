"""Cost of one training image of the recipe `shapes`, all in and by parts, on one thread: part of `make bench`."""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import torch

from core.compute.device import keep_freed_memory
from core.compute.precision import network_precision
from core.compute.workers import ALONE
from core.config.file import build_config, read_yaml
from core.datasets.coco import load_training_set
from core.datasets.loader import BatchLoader
from core.model.build import build_model
from core.training import step as training_step
from core.training.epoch import epoch_batches, total_steps
from core.training.optimizer import build_optimizer

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="datasets/shapes", help="the generated data set (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=60, help="timed optimizer steps (default: %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    settings = read_yaml(RECIPE)
    settings["data"]["root"] = arguments.root
    config = build_config(settings, str(RECIPE))
    dataset = load_training_set(config.data, config.supervision, seed=0)
    torch.manual_seed(0)
    model = build_model(config.model, dataset.num_classes).to(memory_format=torch.channels_last)
    model.train()
    optimizer = build_optimizer(model, config.training)
    loader = BatchLoader(dataset, processes=0)
    steps = total_steps(config.training, len(dataset), num_workers=1)
    batch_size = config.training.batch_size

    def run(first: int, count: int, seconds: dict[str, float]) -> float:
        """Mean seconds per image over `count` steps that begin with step `first` of the schedule."""
        batches = loader.load(epoch_batches(len(dataset), config.training, ALONE, seed=0, epoch=0), epoch=0)
        started = time.perf_counter()
        for step in range(first, first + count):
            before = time.perf_counter()
            batch = next(batches)
            seconds["data"] += time.perf_counter() - before
            training_step.train_step(model, optimizer, [batch], config, step=step, steps=steps, seed=0)
        return (time.perf_counter() - started) / (count * batch_size)

    run(0, 10, defaultdict(float))  # warm-up: allocator, kernels, file cache
    whole = run(10, arguments.steps, defaultdict(float))
    seconds: dict[str, float] = defaultdict(float)
    with timed_parts(model, seconds):
        run(10, arguments.steps, seconds)

    precision = network_precision(config.training.precision, "cpu")
    print(f"recipe shapes, batch {batch_size}, {precision}, one thread, {arguments.steps} steps")
    print(f"{'one training image, all in':28s} {1000 * whole:7.2f} ms")
    for name, value in seconds.items():
        print(f"{name:28s} {1000 * value / (arguments.steps * batch_size):7.2f} ms")


if __name__ == "__main__":
    main()
