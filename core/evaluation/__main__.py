"""Evaluate a trained network: `python -m core.evaluation --recipe coco_r50_1x --checkpoint FILE --data-root DIR`."""

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from core.checkpoints.network import load_network
from core.compute.compute import Compute
from core.compute.workers import Workers, run_with_workers
from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import changes_of, load_recipe
from core.evaluation.data import load_evaluation_set
from core.evaluation.detection import detect_images
from core.evaluation.evaluate import evaluate
from core.evaluation.submission import check_submission_name, write_results, write_submission
from core.evaluation.tables import class_table, metrics_table

TEST_DEV_SET = "test-dev2017"  # as COCO's evaluation server calls it


def read_config(options: argparse.Namespace) -> Config:
    """The settings of the recipe with the changes from the command line.

    Raises:
        ValueError: for an unknown recipe or setting, or a change that is not NAME=VALUE; names it.
    """
    settings = merge(load_recipe(options.recipe), changes_of(options.changes))
    own = {"data": {"root": options.data_root}, "inference": {"batch_size": options.batch_size}}
    given = {section: {k: v for k, v in values.items() if v is not None} for section, values in own.items()}
    return build_config(merge(settings, given), f"recipe {options.recipe} as changed on the command line")


def check_options(options: argparse.Namespace) -> None:
    """Raise a ValueError for options that are invalid or do not fit together."""
    check_submission_name(submission_name(options))
    if options.split == "test-dev" and not options.output:
        raise ValueError("--split test-dev: its annotations are not public, expected --output DIR for its files")
    if options.limit is not None and options.limit < 1:
        raise ValueError(f"--limit is {options.limit}, expected at least 1")


def submission_name(options: argparse.Namespace) -> str:
    return options.name or Path(options.recipe).stem.replace("_", "-")


def run(options: argparse.Namespace, workers: Workers, device: str) -> None:
    """Run the evaluation and print the report.

    Raises:
        ValueError: if settings, data and checkpoint do not fit together; before the network runs.
    """
    check_options(options)
    config = read_config(options)
    dataset, file = load_evaluation_set(
        config.data, options.split, annotations=options.annotations, images=options.images
    )
    model = load_network(options.checkpoint, config.model, dataset.categories, device=device)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)  # now, so as not to fail after hours
    compute = Compute(device, workers, options.loader_processes, progress=workers.writes)
    shared = {"precision": config.training.precision, "limit": options.limit}
    tables = []
    started = time.perf_counter()
    if options.split == "test-dev":
        box_results, mask_results = detect_images(model, dataset, config.inference, compute, **shared)
    else:
        evaluation = evaluate(model, dataset, file, config.inference, compute, **shared)
        box_results, mask_results = evaluation.box_results, evaluation.mask_results
        tables.append(metrics_table(evaluation.metrics, evaluation.recalls))
        if options.per_class:
            tables.append(class_table(evaluation.box_per_class, evaluation.per_class))
    seconds = time.perf_counter() - started
    count = len(dataset.image_ids[: options.limit])
    header = f"{options.recipe}, {options.checkpoint}: {count} images, {len(box_results)} detections, {seconds:.1f} s"
    if not workers.writes:
        return
    kinds = {"bbox": box_results, "segm": mask_results} if options.output else {}
    written = [write_kind(kind, results, options) for kind, results in kinds.items()]
    print("\n\n".join([header, *tables, *(f"wrote {path}" for path in written)]))


def write_kind(kind: Literal["bbox", "segm"], results: list[dict[str, Any]], options: argparse.Namespace) -> Path:
    """Write the results of one kind as the options specify; returns the path of the file."""
    if options.split == "test-dev":  # the server has one page per kind, and the same file name for both
        folder = options.output / kind
        folder.mkdir(exist_ok=True)
        return write_submission(results, folder, TEST_DEV_SET, submission_name(options))
    path = options.output / f"{kind}.json"
    write_results(results, path)
    return path


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m core.evaluation",
        description="Evaluate a trained network on COCO-format data: the twelve COCO metrics of boxes and of masks. "
        "Under torchrun every worker takes a share of the images.",
    )
    add = parser.add_argument
    of_recipe = "name of a file in experiments/recipes, or path of another: network, image sizes, thresholds"
    add("--recipe", required=True, help=of_recipe)
    add("--checkpoint", required=True, type=Path, help="checkpoint.pt of ours, or a file that AdelaiDet released")
    add("--data-root", help="folder of the data set (default: data.root of the recipe)")
    add("--split", choices=("val", "test-dev"), default="val", help="test-dev: write the evaluation server's files")
    add("--annotations", type=Path, help="COCO file to use instead of the recipe's")
    add("--images", type=Path, help="image folder to use instead of the recipe's")
    add("--output", type=Path, help="folder for bbox.json and segm.json, or bbox/*.zip and segm/*.zip for test-dev")
    add("--name", help="name of the method in the server's files (default: the recipe, with hyphens)")
    add("--per-class", action="store_true", help="also print the AP of each class")
    add("--set", dest="changes", action="append", default=[], metavar="NAME=VALUE", help="override a setting")
    add("--batch-size", type=int, help="images per batch; only 1, as in AdelaiDet, avoids padding to other images")
    add("--loader-processes", type=int, default=2, help="image loading processes (default: %(default)s)")
    add("--limit", type=int, metavar="N", help="evaluate only the first N images")
    add(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or cuda:N (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_options(arguments)
    return run_with_workers(partial(run, options), options.device)


if __name__ == "__main__":
    sys.exit(main())
