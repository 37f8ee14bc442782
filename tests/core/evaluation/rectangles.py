"""Annotated rectangles and detections of rectangles, with AP that can be worked out by hand."""

from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from core.evaluation.coco_metrics import coco_metrics

SIZE = (200, 240)  # height, width of every image


def rectangle(x: float, y: float, width: float, height: float) -> list[list[float]]:
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


def encode(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    mask = np.zeros(SIZE, dtype=np.uint8, order="F")
    mask[y : y + height, x : x + width] = 1
    encoded = coco_mask.encode(mask)
    return {"size": list(SIZE), "counts": encoded["counts"].decode()}


def annotation(box: tuple[int, ...], *, image: int = 1, category: int = 7, **other: Any) -> dict[str, Any]:
    """An annotated rectangle that fills its box."""
    return {
        "id": 1,
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "area": box[2] * box[3],
        "iscrowd": 0,
        "segmentation": rectangle(*box),
    } | other


def file_of(annotations: list[dict], *, images: int = 1, categories: tuple[int, ...] = (7,)) -> dict[str, Any]:
    return {
        "images": [{"id": i + 1, "height": SIZE[0], "width": SIZE[1]} for i in range(images)],
        "categories": [{"id": category, "name": f"class {category}"} for category in categories],
        "annotations": [entry | {"id": i + 1} for i, entry in enumerate(annotations)],
    }


def results_of(
    boxes: list[tuple[int, ...]],
    scores: list[float],
    *,
    masks: list[tuple[int, ...]] | None = None,
    image: int = 1,
    category: int = 7,
) -> tuple[list[dict], list[dict]]:
    """Box results and mask results; masks fill their boxes unless they are given."""
    shared = [{"image_id": image, "category_id": category, "score": score} for score in scores]
    return (
        [entry | {"bbox": list(box)} for entry, box in zip(shared, boxes, strict=True)],
        [entry | {"segmentation": encode(*mask)} for entry, mask in zip(shared, masks or boxes, strict=True)],
    )


def metrics_of(*arguments: Any, **options: Any) -> tuple[dict[str, float], dict[int, float]]:
    """The metrics, and mask AP by category."""
    scores = coco_metrics(*arguments, **options)
    return scores.metrics, scores.per_category
