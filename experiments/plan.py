"""What studies cost, before anything runs: schedules, network sizes, device-hours, and the published numbers.

Needs no data, weights or Ray. If the data is there, the plan takes from it the number of classes and the steps per
epoch, and shows which trials are finished.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from core.checkpoints.network import without_weights
from core.config import Config, DataConfig, ModelConfig
from core.datasets.coco import load_training_set, load_validation_set
from core.model.build import build_model
from core.model.mask_rcnn import MaskRcnn
from core.structures import MASK_FEATURE_STRIDE, padded_side
from core.training.effective_batch import describe_schedule, effective_batch, scale_to_batch
from core.training.epoch import total_steps
from experiments.jobs import list_jobs, waiting
from experiments.provenance import provenance
from experiments.store import Store
from experiments.study import Study, Trial, different_fields, value_of

PUBLISHED_CSV = Path(__file__).parents[1] / "analysis" / "published.csv"
TERAFLOPS = 20.0  # sustained, not peak; an assumption, for an A100-class GPU at float32 with tensor cores
BACKWARD = 2  # cost relative to the forward pass; frozen stages cost less
NUM_MASKS = 64  # masks per image, the limit of BoxInst's sampling
COCO_CLASSES = 80  # assumed if there is no data to count them


@dataclass(frozen=True)
class NetworkSize:
    """`forward_flops` counts a multiply-add as two. None for Mask R-CNN, where it depends on the detections."""

    parameters: int
    forward_flops: int | None


def padded_size(data: DataConfig) -> tuple[int, int]:
    """Height and width (px) of a 3:2 landscape photo at validation size, padded as in a batch: 800x1216 on COCO."""
    sides = data.val_short_side, min(1.5 * data.val_short_side, data.long_side_max)
    return tuple(padded_side(side) for side in sides)


def network_size(model: ModelConfig, num_classes: int, height: int, width: int) -> NetworkSize:
    """Parameters, and floating-point operations for one image with `NUM_MASKS` masks, without the losses.

    Runs on fake tensors, which take no memory.
    """
    deformable = {torch.ops.torchvision.deform_conv2d: _deformable_flops}  # torch only counts its own operators
    counter = FlopCounterMode(display=False, custom_mapping=deformable)
    with FakeTensorMode(), torch.no_grad():
        network = build_model(without_weights(model), num_classes).eval()
        parameters = _num_parameters(network)
        if isinstance(network, MaskRcnn):
            return NetworkSize(parameters, None)
        with counter:
            network(torch.zeros(1, 3, height, width, dtype=torch.uint8), [(height, width)])
        # Counted by hand, since the number of masks depends on the data: per mask, each parameter of the controller
        # acts once, and each dynamic parameter once per cell.
        cells = (height // MASK_FEATURE_STRIDE) * (width // MASK_FEATURE_STRIDE)
        of_a_mask = _num_parameters(network.controller) + cells * network.mask_head.num_dynamic_params
    return NetworkSize(parameters, counter.get_total_flops() + 2 * NUM_MASKS * of_a_mask)


def _num_parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _deformable_flops(
    inputs: Sequence[int], weight: Sequence[int], *others: object, out_shape: Sequence[int], **named: object
) -> int:
    """Those of a plain convolution of this size; interpolation between pixels is not counted."""
    return 2 * math.prod(out_shape) * math.prod(weight[1:])


def device_hours(samples: int, forward_flops: int, teraflops: float) -> float:
    """Hours of training on one device at `teraflops` sustained TFLOP/s, without data loading, losses and evaluation.

    Raises:
        ValueError: if `teraflops` is not above 0.
    """
    if not teraflops > 0:
        raise ValueError(f"--teraflops is {teraflops:g}, expected more than 0")
    return samples * (1 + BACKWARD) * forward_flops / (teraflops * 1e12) / 3600


def schedule(trial: Trial, workers: int = 1) -> tuple[str, int | None]:
    """The first line that a training prints, and how many samples it sees; None if missing data leaves that open."""
    config = trial.config
    training = scale_to_batch(config.training, workers)
    num_images = 0
    if training.steps is None:
        try:
            num_images = len(load_training_set(config.data, config.supervision, trial.seed))
        except ValueError:
            return f"{training.epochs} epochs: no data to count their steps", None
    steps = total_steps(training, num_images, workers)
    line = describe_schedule(training, workers, steps, round(config.loss.pairwise_warmup * steps))
    return line, steps * effective_batch(training, workers)


def count_classes(data: DataConfig) -> int:
    try:
        return load_validation_set(data).num_classes
    except ValueError:
        return COCO_CLASSES


def published_numbers(path: Path, study: str, arm: str) -> list[tuple[str, str]]:
    """Mask APs that others published for an arm, each with its split and status, and the meaning of the status.

    Rows of the CSV match by study and arm, or by the name of AdelaiDet's model.

    Raises:
        ValueError: if the file cannot be read.
    """
    places = {(study, arm), ("zoo", f"adelaidet_{arm}")}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if (row["table"], row["row"]) in places]
    except (OSError, KeyError) as error:
        raise ValueError(f"{path}: cannot be read as a table of published numbers: {error}") from error
    known = [row for row in rows if row["metric"] == "mask_AP" and row["value"]]
    numbers = [
        (f"{row['value']} on {row['split']} ({row['status']})", f"{row['status']}: {row['status_meaning']}")
        for row in known
    ]
    return list(dict.fromkeys(numbers))


def difference(config: Config, first: Config) -> str:
    """The settings of `config` that differ from `first`, except for the name of the recipe."""
    fields = [field for field in different_fields((first, config)) if field != "name"]
    return ", ".join(f"{field}={value_of(config, field)}" for field in fields)


def describe_study(study: Study, teraflops: float, published_csv: Path = PUBLISHED_CSV, workers: int = 1) -> str:
    """Lines for each arm: recipe, difference from the first arm, schedule, size, device-hours, published mask AP."""
    trials = [next(trial for trial in study.trials if trial.arm == arm) for arm in study.arms]
    first = trials[0]
    num_classes: dict[DataConfig, int] = {}
    sizes: dict[tuple[ModelConfig, int, int, int], NetworkSize] = {}
    meanings: dict[str, None] = {}
    total = 0.0
    lines = [f"{study.name}: {study.question}", f"expected: {study.expectation}"]
    for trial in trials:
        data = trial.config.data
        if data not in num_classes:
            num_classes[data] = count_classes(data)
        network = without_weights(trial.config.model), num_classes[data], *padded_size(data)
        if network not in sizes:
            sizes[network] = network_size(*network)
        size = sizes[network]
        line, samples = schedule(trial, workers)
        cost = f"{size.parameters / 1e6:.2f} M parameters with {network[1]} classes, "
        if samples is None or size.forward_flops is None:
            cost += "device-hours unknown"
        else:
            trainings = 2 if trial.config.supervision.pseudo_masks == "teacher" else 1
            hours = trainings * device_hours(samples, size.forward_flops, teraflops)
            total += hours * len(study.seeds)
            cost += (
                f"{size.forward_flops / 1e9:.4g} GFLOP forward at {network[2]}x{network[3]} px, "
                f"{hours:.3g} device-hours{' including its teacher' if trainings == 2 else ''}"
            )
        published = published_numbers(published_csv, study.name, trial.arm)
        meanings |= dict.fromkeys(meaning for _, meaning in published)
        lines += [
            f"{trial.arm}: recipe {trial.config.name}",
            *(
                [f"    differs from {first.arm}: {difference(trial.config, first.config)}"]
                if trial is not first
                else []
            ),
            f"    {line}",
            f"    {cost}",
            f"    published mask AP: {'; '.join(number for number, _ in published) or 'none known'}",
        ]
    lines += [
        f"{len(study.arms)} arms x {len(study.seeds)} seeds: {total:.3g} device-hours = samples seen x "
        f"{1 + BACKWARD} x forward FLOP of one image with {NUM_MASKS} masks / {teraflops:g} TFLOP/s, sustained and "
        "assumed (--teraflops); without data loading, losses and evaluation",
        *meanings,
    ]
    return "\n".join(lines)


def print_plan(studies: Sequence[Study], store: Store, *, teraflops: float, fresh: bool, workers: int = 1) -> None:
    """Print what the studies cost, then their trials; if the data is there, also which of these would run."""
    for study in studies:
        print(describe_study(study, teraflops, workers=workers), end="\n\n")
    made_from = provenance()
    try:
        jobs = [job for study in studies for job in list_jobs(study, made_from, workers)]
    except ValueError as error:
        print(f"cannot determine which trials are finished: {error}")
        return
    to_run = {job.key for job in (jobs if fresh else waiting(jobs, store))}
    for job in jobs:
        varied = ", ".join(f"{field}={value}" for field, value in job.trial.varied.items())
        state = "to run  " if job.key in to_run else "finished"
        print(f"{state}  {job.key}  {job.trial.study}/{job.trial.name}  {varied}")
