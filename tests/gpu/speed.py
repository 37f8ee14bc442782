"""Training steps and inference of the paper's R-50 recipe on made-up images: images a second, memory, waiting.

The network has random weights, so that detections are as many as they may be; nothing here says how good they are.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from core.compute.device import forget_memory_peak, peak_memory_mb
from core.compute.precision import autocast, network_precision
from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.evaluation.postprocess import detect
from core.model.build import build_model
from core.structures import Annotations, Batch, padded_side
from core.training.finite import FiniteChecks
from core.training.optimizer import build_optimizer
from core.training.step import train_step
from tests.gpu.synchronizations import synchronizations
from tests.gpu.tensor_cores import tensor_cores

PRECISIONS = ("float32", "tf32", "bfloat16")
WARM_UP = 3  # steps that are not timed: kernels are chosen, memory is allocated
NUM_CLASSES = 80
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")


@dataclass(frozen=True)
class Extent:
    """What is timed."""

    height: int
    width: int
    per_image: int  # instances
    batch_sizes: tuple[int, ...]
    seconds: float  # of each timing, at least two steps
    most_steps: int
    backbone: str


EXTENT = Extent(800, 1333, 20, (2, 16), 5.0, 30, "resnet50")
SMALL = Extent(96, 128, 4, (2, 4), 0.5, 2, "resnet50")


def speed(device: str, *, small: bool, extent: Extent | None = None) -> dict[str, Any]:
    """Time all; what does not fit into the memory of the device is null, with the reason."""
    extent = extent or (SMALL if small else EXTENT)
    figures = {}
    for precision in PRECISIONS:
        for batch_size in extent.batch_sizes:
            name = f"{precision}, batch {batch_size}"
            figures[name] = _fitting(lambda p=precision, b=batch_size: _figures(device, extent, p, b))
            forget_memory_peak(device)
    measured = [each for each in figures.values() if each is not None]
    passed = all(figures[f"{each}, batch {extent.batch_sizes[0]}"] is not None for each in PRECISIONS)
    passed = passed and all(0 < one["images_per_second"] < float("inf") for each in measured for one in each.values())
    return {"passed": passed, "extent": vars(extent), "figures": figures}


def _fitting(run: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    try:
        return run()
    except torch.OutOfMemoryError:
        return None


def _figures(device: str, extent: Extent, precision: str, batch_size: int) -> dict[str, Any]:
    changes = {
        "model": {"backbone": {"name": extent.backbone, "weights": None}},
        "training": {"batch_size": batch_size, "schedule_batch_size": None, "precision": _config_name(precision)},
    }
    config = build_config(merge(load_recipe("coco_r50_1x"), changes), "recipe coco_r50_1x")
    batch = made_up(extent, batch_size).to(device)
    torch.manual_seed(0)
    model = build_model(config.model, NUM_CLASSES).to(device, memory_format=torch.channels_last)
    with tensor_cores(precision == "tf32"):
        step = _training_step(model, batch, config)
        figures = {"step": _measured(step, device, extent, batch_size)}
        model.eval()
        figures["inference"] = _measured(_inference(model, batch, config), device, extent, batch_size)
    actual = network_precision(config.training.precision, device)
    return {kind: {"network_precision": actual} | values for kind, values in figures.items()}


def _config_name(precision: str) -> str:
    return "bfloat16" if precision == "bfloat16" else "float32"


def _training_step(model: nn.Module, batch: Batch, config: Config) -> Callable[[], None]:
    model.train()
    optimizer = build_optimizer(model, config.training)
    checks = FiniteChecks(later=batch.images.is_cuda)
    done = [0]

    def step() -> None:
        train_step(model, optimizer, [batch], config, step=done[0], steps=90_000, seed=0, checks=checks)
        done[0] += 1

    return step


def _inference(model: nn.Module, batch: Batch, config: Config) -> Callable[[], None]:
    thresholds = config.inference.model_dump(exclude={"batch_size"}) | {"score_threshold": 0.0}

    def infer() -> None:
        with torch.inference_mode(), autocast(config.training.precision, batch.images.device):
            detect(model, batch, **thresholds)

    return infer


def _measured(run: Callable[[], None], device: str, extent: Extent, batch_size: int) -> dict[str, Any]:
    on_gpu = torch.device(device).type == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    for _ in range(WARM_UP if on_gpu else 1):
        run()
    wait()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    started, steps = time.perf_counter(), 0
    while steps < 2 or (steps < extent.most_steps and time.perf_counter() - started < extent.seconds):
        run()
        steps += 1
    wait()
    seconds = (time.perf_counter() - started) / steps
    peak = peak_memory_mb(device) if on_gpu else None
    with synchronizations(device) as found:
        run()
    return {
        "images_per_second": batch_size / seconds,
        "seconds": seconds,
        "steps": steps,
        "peak_memory_mb": peak,
        "share_in_convolutions": _share_in_convolutions(run, on_gpu),
        "host_synchronizations": found.total(),
        "synchronizations_are": "those that torch warns of" if on_gpu else "operators that would wait on a GPU",
        "synchronizing_lines": dict(found.most_common()),
    }


def _share_in_convolutions(run: Callable[[], None], on_gpu: bool) -> float | None:
    """The share of the kernels' time on a GPU, of the operators' time on a CPU."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities, acc_events=True) as recorded:
        run()
    events = recorded.key_averages()
    if on_gpu:
        total = sum(event.self_device_time_total for event in events)
        inside = sum(event.device_time_total for event in events if event.key in CONVOLUTIONS)
    else:
        total = sum(event.self_cpu_time_total for event in events)
        inside = sum(event.cpu_time_total for event in events if event.key in CONVOLUTIONS)
    return inside / total if total else None


def made_up(extent: Extent, batch_size: int) -> Batch:
    """Images of patches of similar colors, with boxes of an eighth to a half of their sides; no masks."""
    random = torch.Generator().manual_seed(0)
    height, width = padded_side(extent.height), padded_side(extent.width)
    patches = torch.randint(256, (batch_size, 3, height // 32, width // 32), generator=random, dtype=torch.uint8)
    images = patches.repeat_interleave(32, 2).repeat_interleave(32, 3)
    size = torch.tensor([extent.width, extent.height])
    annotations = []
    for _ in range(batch_size):
        sides = size * (0.125 + 0.375 * torch.rand(extent.per_image, 2, generator=random))
        start = (size - sides) * torch.rand(extent.per_image, 2, generator=random)
        boxes = torch.cat([start, start + sides], dim=1)
        nothing = torch.zeros(extent.per_image, height // 4, width // 4, dtype=torch.bool)
        labels = torch.randint(NUM_CLASSES, (extent.per_image,), generator=random)
        centers = (boxes[:, :2] + boxes[:, 2:]) / 2
        annotations.append(Annotations(boxes, labels, torch.zeros_like(labels, dtype=torch.bool), nothing, centers))
    sizes = [(extent.height, extent.width)] * batch_size
    return Batch(images, annotations, sizes, list(range(batch_size)), sizes, [0] * batch_size)
