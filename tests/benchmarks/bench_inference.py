"""Detection with masks against the network alone: R-50 at 800 x 1216 px, 92 masks of a 640 x 427 photo.

`python -m tests.benchmarks inference`, two CPU threads, float32 and bfloat16, the shortest of several runs. The weights
are random, so that masks and boxes are put in place of what the network says: disks of various sizes, after the mask
head has done its work. What is beside the network: selection, NMS, mask head, masks enlarged and encoded.
"""

import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from core.compute.precision import autocast
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.evaluation.postprocess import detect
from core.model.build import build_model
from core.structures import Batch, Predictions
from tests.benchmarks.form import Line, tell

NUM_MASKS, FILE, RESIZED, PADDED = 92, (427, 640), (800, 1199), (800, 1216)
QUICK_RESIZED, QUICK_PADDED = (64, 96), (64, 96)
CANDIDATES = 3000  # locations and classes above the threshold


class Timed:
    """A network that notes the time of its forward pass, and then finds boxes all over the image, and disks in them."""

    def __init__(self, network: nn.Module, padded: tuple[int, int]) -> None:
        self.network = network
        self.seconds = 0.0
        generator = torch.Generator().manual_seed(0)
        rows, columns = torch.meshgrid(torch.arange(padded[0] / 4), torch.arange(padded[1] / 4), indexing="ij")
        y, x, size = torch.rand(3, NUM_MASKS, 1, 1, generator=generator)
        distance = ((rows - y * len(rows)) ** 2 + (columns - x * columns.shape[1]) ** 2).sqrt()
        self.disks = 4 + 60 * size**3 - distance

    def __call__(self, *given: Any) -> Predictions:
        start = time.perf_counter()
        predictions = self.network(*given)
        self.seconds = time.perf_counter() - start
        return replace(predictions, ltrb=torch.full_like(predictions.ltrb, 6.0))

    def predict_masks(self, *given: Any) -> Tensor:
        logits = self.network.predict_masks(*given)
        return self.disks[: len(logits)].to(logits.dtype)


@torch.inference_mode()
def measure(*, quick: bool) -> list[Line]:
    torch.set_num_threads(2)
    resized, padded = (QUICK_RESIZED, QUICK_PADDED) if quick else (RESIZED, PADDED)
    settings = merge(load_recipe("coco_r50_3x"), {"model": {"backbone": {"weights": None}}})
    torch.manual_seed(0)
    network = build_model(build_config(settings, "coco_r50_3x").model, 80).eval()
    images = torch.randint(0, 256, (1, 3, *padded), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batch = Batch(images, [], [resized], [1], [FILE], [0])
    lines = []
    for precision in ("float32", "bfloat16"):
        runs = []
        with autocast(precision, "cpu"):
            predictions = network(images, [resized])
            class_logits, centerness_logits = predictions.class_logits[0], predictions.centerness_logits[0, :, None]
            quality = class_logits.float().sigmoid() * centerness_logits.float().sigmoid()
            for _ in range(1 if quick else 5):
                timed = Timed(network, padded)
                start = time.perf_counter()
                detect(
                    timed,
                    batch,
                    score_threshold=float(quality.flatten().topk(CANDIDATES).values[-1]),
                    max_candidates=1000,
                    nms_threshold=1.0,
                    max_detections=NUM_MASKS,
                )
                runs.append((time.perf_counter() - start, timed.seconds))
        whole, alone = (min(times) * 1e3 for times in zip(*runs, strict=True))
        name = f"inference, R-50, {padded[0]}x{padded[1]}, {NUM_MASKS} masks, {precision}"
        lines.append(Line(name, whole, "ms", alone, "its own network"))
    return lines


if __name__ == "__main__":
    tell(measure(quick=False))
