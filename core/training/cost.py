"""What a training will cost on this machine, from a few of its own steps: `python -m core.training.cost --recipe own`.

Prints one line of JSON (`ExpectedCost`). A process of its own, as a training is: the memory of a process is known only
by its peak, and one that the system kills for memory takes nothing else with it.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import cycle, islice
from multiprocessing import active_children
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import torch

from core.checkpoints.checkpoint import CHECKPOINT, save_checkpoint
from core.compute.command import run_command
from core.compute.compute import Compute
from core.compute.device import keep_freed_memory, peak_memory_mb
from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import changes_of, load_recipe
from core.datasets.annotation_file import AnnotationFile
from core.datasets.check.expected_cost import ExpectedCost
from core.datasets.coco import CocoDataset, read_training_file, read_validation_file
from core.datasets.loader import BatchLoader
from core.evaluation.evaluate import evaluate
from core.pseudo_masks.ema_teacher import EmaTeacher
from core.training.data_sets import build_data_sets
from core.training.effective_batch import effective_batch, scale_to_batch, steps_per_epoch, total_steps
from core.training.epoch import EpochProgress, epoch_batches
from core.training.initial import initial_model
from core.training.optimizer import build_optimizer
from core.training.resume import state_of
from core.training.step import train_step

FIRST, FEWEST, MOST = 4, 3, 60  # steps: with images that are decoded for them, and then with the same images
DETECTIONS_PER_OBJECT = 3  # above the score threshold, of a trained network; an untrained one has none


def training_cost(config: Config, compute: Compute, *, seconds: float) -> ExpectedCost:
    """Estimate the cost of a training with one worker from some `seconds` of its steps, at least FEWEST of them.

    The images are loaded as in a training, where those that are held are decoded in the first epoch only. Nothing is
    left behind.

    Raises:
        ValueError: if the data does not fit the config.
    """
    started = time.perf_counter()
    training_file, validation_file = read_training_file(config.data), read_validation_file(config.data)
    training_set, validation_set = build_data_sets(config, 0, training_file, validation_file)
    del training_file
    config = config.model_copy(update={"training": scale_to_batch(config.training, 1)})
    training, num_images = config.training, len(training_set)
    steps = total_steps(training, num_images, 1)
    epochs = -(-steps // steps_per_epoch(num_images, effective_batch(training, 1)))
    model = initial_model(config, training_set.categories, 0, compute)
    optimizer, teacher = build_optimizer(model, training), EmaTeacher.of(model, config)
    seconds_to_start = time.perf_counter() - started

    of_epoch = epoch_batches(num_images, training, compute.workers, seed=0, epoch=0)
    first = min(FIRST, len(of_epoch) // training.accumulation)
    waits: list[float] = []
    works: list[float] = []
    with BatchLoader(training_set, compute.loader_processes) as loader:
        order = cycle(of_epoch[: first * training.accumulation])
        batches = loader.load(list(islice(order, (first + MOST) * training.accumulation)), 0)
        model.train()
        for step in range(first + MOST):
            asked = time.perf_counter()
            of_step = [next(batches).to(compute.device) for _ in range(training.accumulation)]
            loaded = time.perf_counter()
            at = {"step": min(step, steps - 1), "steps": steps}
            train_step(model, optimizer, of_step, config, **at, seed=0, teacher=teacher)
            waits.append(loaded - asked)
            works.append(time.perf_counter() - loaded)
            if len(works) >= first + FEWEST and sum(waits[first:]) + sum(works[first:]) > seconds:
                break
        of_loaders = sum(_private_mb(process.pid) for process in active_children())
        val_seconds = [_val_seconds(model, validation_set, validation_file, config, compute) for _ in range(2)]
    epoch_seconds = _seconds_to_save(model, optimizer, training_set, config)
    evaluations = -(-epochs // training.evaluate_every) if training.evaluate_every else 1
    total = seconds_to_start + steps * (fmean(waits[first:]) + fmean(works[first:])) + epochs * epoch_seconds
    total += evaluations * val_seconds[1]
    to_decode = max(fmean(waits[:first]) - fmean(waits[first:]), 0.0)  # of a step
    total += min(len(of_epoch) // training.accumulation, steps) * to_decode + max(val_seconds[0] - val_seconds[1], 0.0)
    memory = peak_memory_mb(compute.device)
    if torch.device(compute.device).type == "cpu":
        memory += of_loaders + (training_set.images.bytes_to_come + validation_set.images.bytes_to_come) / 2**20
    threads = torch.get_num_threads()
    return ExpectedCost(total / 60, memory, compute.device, threads, steps)


def _val_seconds(
    model: torch.nn.Module, validation_set: CocoDataset, file: AnnotationFile, config: Config, compute: Compute
) -> float:
    """To evaluate once: of two batches and their metrics, with as many detections as a trained network may have."""
    objects = max(sum(len(record.labels) for record in validation_set.records) / len(validation_set), 1)
    most = min(round(DETECTIONS_PER_OBJECT * objects), config.inference.max_detections)
    inference = config.inference.model_copy(update={"score_threshold": 0.0, "max_detections": most})
    limit = min(2 * config.inference.batch_size, len(validation_set))
    before = time.perf_counter()
    evaluate(model, validation_set, file, inference, compute, precision=config.training.precision, limit=limit)
    return (time.perf_counter() - before) / limit * len(validation_set)


def _seconds_to_save(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, training_set: CocoDataset, config: Config
) -> float:
    classes = training_set.categories, training_set.category_ids
    state = state_of(model, optimizer, [], *classes, effective_batch(config.training, 1), EpochProgress())
    with TemporaryDirectory() as folder:
        before = time.perf_counter()
        save_checkpoint(Path(folder, CHECKPOINT), state, config=config, seed=0, data_digest="")
        return time.perf_counter() - before


def _private_mb(process: int | None) -> float:
    """MiB of a process that it shares with no other; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def measure(options: argparse.Namespace) -> None:
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    keep_freed_memory()
    settings = merge(load_recipe(options.recipe), changes_of(options.changes))
    settings = merge(settings, {"data": {"root": options.data_root}})
    config = build_config(settings, f"recipe {options.recipe}")
    compute = Compute(options.device, loader_processes=options.loader_processes)
    print(json.dumps(asdict(training_cost(config, compute, seconds=options.seconds))))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m core.training.cost",
        description="Estimate minutes and memory of a training on this machine from a few of its steps, as JSON.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--recipe", required=True, default=argparse.SUPPRESS, help="as of core.train")
    parser.add_argument("--data-root", required=True, default=argparse.SUPPRESS, help="folder of the data set")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="NAME=VALUE", help="a setting")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--loader-processes", type=int, default=min(4, os.cpu_count() or 1), help="as of core.train")
    parser.add_argument("--seconds", type=float, default=8.0, help="of training steps to measure")
    return run_command(partial(measure, parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
