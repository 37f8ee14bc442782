"""COCO evaluation of 100 images x 100 detections of 80 classes, from mask logits to the numbers, one CPU thread.

`python -m tests.benchmarks evaluation`, some minutes. Ours (`paste_masks`, hotcoco) against the evaluation as it was:
each mask enlarged as a whole, then pycocotools. Drawn objects and detections; drawing them is not timed. All encodings
and all numbers are compared, without tolerance.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS, CocoScores, coco_metrics
from core.evaluation.detection import coco_results
from core.evaluation.postprocess import PIXEL_BUDGETS, encode_masks, paste_masks, paste_whole_masks
from core.structures import MASK_STRIDE, Detections, padded_side
from tests.benchmarks.form import Line
from tests.core.evaluation.test_same_as_pycocotools import judged, percent

IMAGES, DETECTIONS, OBJECTS, CLASSES = 100, 100, 10, 80
RESIZED, FILE = (800, 1199), (427, 640)  # (height, width) of the input and of the file, as on COCO
LEAST = 5.0  # times as fast


def ellipses(centers: Tensor, radii: Tensor, size: tuple[int, int], step: float) -> Tensor:
    """Below 1 inside of each ellipse, N h w; pixel (y, x) is at (y, x) * `step`, in pixels of the file."""
    y, x = torch.arange(size[0])[:, None] * step, torch.arange(size[1]) * step
    (center_x, center_y), (radius_x, radius_y) = (values.T[:, :, None, None] for values in (centers, radii))
    return ((x - center_x) / radius_x) ** 2 + ((y - center_y) / radius_y) ** 2


def draw(image: int, detections: int) -> tuple[list[dict[str, Any]], Tensor, Detections]:
    """Annotations of an image, mask logits on the grid, and detections without masks near the annotated objects."""
    generator = torch.Generator().manual_seed(image)
    centers = torch.rand(OBJECTS, 2, generator=generator) * torch.tensor([FILE[1], FILE[0]])
    radii = (
        8
        * 2 ** (3.5 * torch.rand(OBJECTS, 1, generator=generator))
        * (0.6 + torch.rand(OBJECTS, 2, generator=generator))
    )
    classes = torch.randint(CLASSES, (OBJECTS,), generator=generator)
    annotations = []
    for place, mask in enumerate(encode_masks(ellipses(centers, radii, FILE, 1.0) < 1)):
        (x, y), (width, height) = (centers[place] - radii[place]).tolist(), (2 * radii[place]).tolist()
        annotations.append(
            {
                "id": image * OBJECTS + place + 1,
                "image_id": image + 1,
                "category_id": int(classes[place]) + 1,
                "iscrowd": 0,
                "bbox": [x, y, width, height],
                "area": 0.785 * width * height,
                "segmentation": {"size": list(mask["size"]), "counts": mask["counts"].decode()},
            }
        )
    of = torch.randint(OBJECTS, (detections,), generator=generator)
    near = centers[of] + radii[of] * 0.15 * torch.randn(detections, 2, generator=generator)
    sides = radii[of] * (1 + 0.15 * torch.randn(detections, 2, generator=generator).clamp(-3, 3))
    labels = classes[of].where(torch.rand(detections, generator=generator) < 0.8, (classes[of] + 1) % CLASSES)
    scores = torch.rand(detections, generator=generator).sort(descending=True).values
    grid = tuple(padded_side(side) // MASK_STRIDE for side in RESIZED)
    logits = 8 * (1 - ellipses(near, sides, grid, MASK_STRIDE * FILE[0] / RESIZED[0])).clamp(-2, 1)
    logits += 0.2 * torch.randn(logits.shape, generator=generator)
    return annotations, logits, Detections(torch.cat([near - sides, near + sides], 1), scores, labels, [])


def measure(*, quick: bool) -> list[Line]:
    torch.set_num_threads(1)
    images, detections = (2, 6) if quick else (IMAGES, DETECTIONS)
    seconds = {"pasting": [0.0, 0.0], "AP": [0.0, 0.0]}  # ours, as it was
    results: list[tuple[list[dict], list[dict]]] = [([], []), ([], [])]  # of boxes and masks
    annotations = []
    with torch.inference_mode():
        for image in range(images):
            of_image, logits, found = draw(image, detections)
            annotations += of_image
            for way, paste in enumerate((paste_masks, paste_each_as_a_whole)):
                started = time.perf_counter()
                masks = paste(logits, RESIZED, FILE)
                of_boxes, of_masks = coco_results(
                    Detections(found.boxes, found.scores, found.labels, masks), image + 1, range(1, CLASSES + 1)
                )
                seconds["pasting"][way] += time.perf_counter() - started
                results[way][0].extend(of_boxes)
                results[way][1].extend(of_masks)
    content = {
        "images": [{"id": image + 1, "height": FILE[0], "width": FILE[1]} for image in range(images)],
        "categories": [{"id": label + 1, "name": f"class {label}"} for label in range(CLASSES)],
        "annotations": annotations,
    }
    started = time.perf_counter()
    scores = coco_metrics(content, *results[0])
    half = time.perf_counter()
    judge = [judged(content, of_kind, kind) for of_kind, kind in zip(results[1], ("bbox", "segm"), strict=True)]
    seconds["AP"] = [half - started, time.perf_counter() - half]
    ours, before = (sum(part[way] for part in seconds.values()) for way in (0, 1))
    what = f"evaluation of {images} images x {detections} detections"
    return [
        Line(f"{what}: times as fast as before", before / ours, "", LEAST, "at least"),
        Line(f"{what}: time", ours, "s", before, "pycocotools, whole masks"),
        *(Line(f"- {part}", mine, "s", other, "before") for part, (mine, other) in seconds.items()),
        Line("- encodings that differ", sum(a != b for a, b in zip(results[0][1], results[1][1], strict=True)), ""),
        Line("- numbers that differ", len([*differing(scores, judge)]), ""),
        Line("- mask AP", scores.metrics["mask_AP"], "%"),
    ]


def paste_each_as_a_whole(logits: Tensor, resized: tuple[int, int], file: tuple[int, int]) -> list[dict]:
    return paste_whole_masks(logits, resized, file, PIXEL_BUDGETS["cpu"])


def differing(scores: CocoScores, judge: list[Any]) -> Iterator[str]:
    """The names of the numbers that are not those of pycocotools, for boxes and masks."""
    for prefix, run in zip(("box", "mask"), judge, strict=True):
        for key, value in zip(AP_KEYS + AR_KEYS, run.stats, strict=True):
            name = f"{prefix}_{key}"
            if not np.array_equal((scores.metrics | scores.recalls)[name], percent(value), equal_nan=True):
                yield name
