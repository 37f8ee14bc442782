"""Train one recipe: `python -m core.train --recipe coco_r50_1x --data-root datasets/coco --folder runs/r50`.

On several GPUs: `torchrun --nproc-per-node 8 -m core.train --recipe ...`. Run the same command again to resume from
the checkpoint in `--folder`: it is written after every epoch, and after the current step when SIGTERM (exit status 143)
or Ctrl-C (130) ends the training; Ctrl-C again ends it at once. To run studies of many trainings, use
`python -m experiments.run`.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import torch

from core.compute.compute import Compute
from core.compute.interrupt import stop_requests
from core.compute.precision import network_precision
from core.compute.workers import Workers, run_with_workers
from core.config.file import build_config, merge
from core.config.recipe import changes_of, load_recipe
from core.evaluation.submission import write_metrics, write_results
from core.evaluation.tables import metrics_table
from core.files.imagenet_weights import require_weights
from core.files.lock import folder_lock
from core.training.loop import train


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m core.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recipe", required=True, help="name of a file in experiments/recipes, without .yaml")
    parser.add_argument("--data-root", help="folder of the data set (default: data.root of the recipe)")
    parser.add_argument("--folder", required=True, type=Path, help="output folder for checkpoint and results")
    parser.add_argument(
        "--set",
        dest="changes",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="override a setting, such as training.accumulation=8; repeatable. training.steps, warmup_steps and "
        "learning_rate are given for training.schedule_batch_size images per step (16 on COCO) and are scaled to the "
        "effective batch size",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, help="CPU threads per worker (default: torch's choice)")
    processes = min(4, os.cpu_count() or 1)
    parser.add_argument(
        "--loader-processes",
        type=int,
        default=processes,
        help="image loading processes per worker (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, workers: Workers, device: str) -> None:
    """Train, evaluate, and write `metrics.json`, `bbox.json` and `segm.json` beside the checkpoint.

    Raises:
        ValueError: if settings, weights, data and checkpoint do not fit together.
        FloatingPointError: if a loss is not finite.
    """
    logging.basicConfig(level=logging.INFO if workers.writes else logging.WARNING, format="%(message)s")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    settings = merge(load_recipe(options.recipe), changes_of(options.changes))
    if options.data_root is not None:
        settings = merge(settings, {"data": {"root": options.data_root}})
    config = build_config(settings, f"recipe {options.recipe}")
    require_weights(config.model.backbone.weights)  # before the data is read, which may take minutes
    logging.info(f"device {device}, network precision {network_precision(config.training.precision, device)}")
    with only_training(options.folder, workers), stop_requests() as stop:
        compute = Compute(device, workers, options.loader_processes, progress=workers.writes, stop=stop)
        result = train(config, options.seed, folder=options.folder, compute=compute)
        if workers.writes:
            evaluation = result.evaluation
            write_results(evaluation.box_results, options.folder / "bbox.json")
            write_results(evaluation.mask_results, options.folder / "segm.json")
            write_metrics(evaluation.metrics, evaluation.per_class, options.folder / "metrics.json")
            print(metrics_table(evaluation.metrics, evaluation.recalls))


@contextmanager
def only_training(folder: Path, workers: Workers) -> Iterator[None]:
    """Keep other trainings out of the folder; the first worker holds the lock.

    Raises:
        ValueError: on every worker, if another training uses the folder.
    """
    with ExitStack() as stack:
        refused = None
        if workers.writes:
            try:
                stack.enter_context(folder_lock(folder, "training"))
            except (ValueError, OSError) as error:
                refused = error
        if (refused := workers.gather(refused)[0]) is not None:
            raise refused
        yield


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return run_with_workers(partial(run, options), options.device)


if __name__ == "__main__":
    sys.exit(main())
