"""Train one recipe: `python -m core.train --recipe coco_r50_1x --data-root datasets/coco --folder runs/r50`.

On several GPUs: `torchrun --nproc-per-node 8 -m core.train --recipe ...`. Run the same command again to resume from
the checkpoint in `--folder`: it is written after every epoch, and after the current step when SIGTERM (exit status 143)
or Ctrl-C (130) ends the training; Ctrl-C again ends it at once. To run studies of many trainings, use
`python -m experiments.run`.

The schedule of a training depends on its length, which therefore stays what it was at the start. To train longer, start
another training from the weights of the first: `--from runs/a/checkpoint.pt --folder runs/b --epochs 80`.
"""

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import torch
from tqdm.contrib.logging import logging_redirect_tqdm

from core.checkpoints.checkpoint import CHECKPOINT, LENGTH, OtherLengthError, length
from core.compute.compute import Compute
from core.compute.interrupt import stop_requests
from core.compute.precision import network_precision
from core.compute.workers import Workers, run_with_workers
from core.config import Config, TrainingConfig
from core.config.file import build_config, merge
from core.config.recipe import changes_of, load_recipe
from core.evaluation.submission import write_metrics, write_results
from core.evaluation.tables import metrics_table
from core.files.imagenet_weights import require_weights
from core.files.lock import folder_lock
from core.training.loop import train
from core.training.pace import duration
from core.training.report import Report

BOXES, MASKS, METRICS = "bbox.json", "segm.json", "metrics.json"  # beside the checkpoint


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m core.train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--recipe", required=True, help="name of a file in experiments/recipes, without .yaml, or a path"
    )
    parser.add_argument("--data-root", help="folder of the data set (default: data.root of the recipe)")
    parser.add_argument("--folder", required=True, type=Path, help="output folder for checkpoint and results")
    parser.add_argument(
        "--epochs",
        type=int,
        help="length of the training (default: that of the recipe; it replaces the steps of a recipe that is given in "
        "steps, as those on COCO and Pascal VOC are)",
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="CHECKPOINT",
        help="start from the network of this checkpoint, of another training or of AdelaiDet's: its weights, with the "
        "recipe's schedule from the first step on, learning rate and pairwise warm-up (loss.pairwise_warmup) included. "
        "Classes are matched by name, those that it does not know are new",
    )
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
    parser.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: %(default)s)")
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
    return parser


def run(options: argparse.Namespace, workers: Workers, device: str) -> None:
    """Train, evaluate, and write `metrics.json`, `bbox.json` and `segm.json` beside the checkpoint.

    Raises:
        ValueError: if settings, weights, data and checkpoint do not fit together.
        FloatingPointError: if a loss is not finite.
    """
    logging.basicConfig(level=logging.INFO if workers.writes else logging.WARNING, format="%(message)s")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    config = config_of(options)
    if options.start is None:
        require_weights(config.model.backbone.weights)  # before the data is read, which may take minutes
    precision = network_precision(config.training.precision, device)
    logging.info(f"device {device}, {torch.get_num_threads()} CPU thread(s), network precision {precision}")
    shows_bars = workers.writes and sys.stderr.isatty()
    with (
        only_training(options.folder, workers),
        stop_requests() as stop,
        logging_redirect_tqdm() if shows_bars else nullcontext(),  # lines appear above the bar
    ):
        compute = Compute(device, workers, options.loader_processes, progress=shows_bars, stop=stop)
        try:
            result = train(
                config, options.seed, folder=options.folder, compute=compute, start=options.start, report=Report()
            )
        except OtherLengthError as error:
            raise ValueError(f"{error}.{ways_to_train_longer(error, options, workers)}") from None
    if workers.writes:
        evaluation = result.evaluation
        write_results(evaluation.box_results, options.folder / BOXES)
        write_results(evaluation.mask_results, options.folder / MASKS)
        write_metrics(evaluation.metrics, evaluation.per_class, options.folder / METRICS)
        print(metrics_table(evaluation.metrics, evaluation.recalls))
        print(what_there_is(options.folder, result.seconds))


def config_of(options: argparse.Namespace) -> Config:
    """The config of the recipe with what the options change.

    Raises:
        ValueError: if there is no such recipe, a setting is unknown or wrong, or the length is given twice.
    """
    settings = merge(load_recipe(options.recipe), changes_of(options.changes))
    if options.data_root is not None:
        settings = merge(settings, {"data": {"root": options.data_root}})
    if options.epochs is not None:
        if given := [change for change in options.changes if change.partition("=")[0] in LENGTH]:
            raise ValueError(f"--epochs {options.epochs} and --set {given[0]}: expected one of them")
        stated = settings.get("training", {}).get("steps")
        if stated is not None:
            logging.info(f"--epochs {options.epochs} in place of the {stated} steps of recipe {options.recipe}")
        settings = merge(settings, {"training": {"epochs": options.epochs}})
    return build_config(settings, f"recipe {options.recipe}")


def ways_to_train_longer(error: OtherLengthError, options: argparse.Namespace, workers: Workers) -> str:
    """What to do in place of resuming a training of another length, with the commands."""
    wanted = length(error.expected)
    folder = options.folder.with_name(f"{options.folder.name}-{wanted.replace(' ', '-')}")
    warm = command(options, workers, error.expected, folder=folder, start=error.path)
    same = command(options, workers, error.found, folder=options.folder, start=options.start)
    return (
        f"\nTo train {wanted} more, with a new schedule, from its weights:\n  {warm}\nTo resume it as it is:\n  {same}"
    )


def command(
    options: argparse.Namespace, workers: Workers, training: TrainingConfig, *, folder: Path, start: Path | None
) -> str:
    """The command of these options with another length, folder and start."""
    in_epochs = training.epochs is not None
    words = ["--recipe", options.recipe]
    words += ["--data-root", options.data_root] if options.data_root is not None else []
    words += ["--folder", folder, *(["--from", start] if start is not None else [])]
    words += ["--epochs", training.epochs] if in_epochs else ["--set", f"training.steps={training.steps}"]
    for change in options.changes:
        words += ["--set", change] if change.partition("=")[0] not in LENGTH else []
    parser = build_parser()
    for name in ("seed", "device", "threads", "loader_processes"):
        if (value := getattr(options, name)) != parser.get_default(name):
            words += [f"--{name.replace('_', '-')}", value]
    several = f"torchrun --nproc-per-node {workers.count} -m core.train"
    return f"{'python -m core.train' if workers.count == 1 else several} {shlex.join(map(str, words))}"


def what_there_is(folder: Path, seconds: float) -> str:
    """Lines for the end: the files, and the command that makes masks with the network."""
    path = shlex.quote(str(folder / CHECKPOINT))
    return (
        f"{folder}: {CHECKPOINT} (the network), {METRICS} (AP), {BOXES} and {MASKS} (detections in the validation "
        f"images); {duration(seconds)}\n"
        f"masks for new photos: python -m core.annotate --checkpoint {path} --images PHOTOS --out annotated"
    )


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
    options = build_parser().parse_args(arguments)
    return run_with_workers(partial(run, options), options.device)


if __name__ == "__main__":
    sys.exit(main())
