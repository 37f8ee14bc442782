"""Evaluation of a model on a data set: its detections in COCO's results format and their metrics."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from core.coco_metrics import coco_metrics
from core.config import InferenceConfig
from core.datasets.coco import CocoDataset, collate
from core.postprocess import detect
from core.structures import Detections


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one model on one data set, and the detections they were computed from.

    Entry i of both results is one detection. They are two lists because pycocotools takes the area of a result that
    has a box from the box: masks would be sorted into small, medium and large by their boxes.
    """

    metrics: dict[str, float]  # the keys METRICS of core/coco_metrics.py; AP in percent, NaN: nothing to find
    per_class: dict[str, float]  # mask AP by class name, percent
    box_results: list[dict[str, Any]]  # COCO's results format, `bbox` xywh
    mask_results: list[dict[str, Any]]  # COCO's results format, `segmentation` with `counts` as text


def evaluate(
    model: nn.Module,
    dataset: CocoDataset,
    inference: InferenceConfig,
    *,
    device: torch.device | str,
    precision: Literal["float32", "bfloat16"] = "float32",
    num_workers: int = 0,
    progress: bool = False,
) -> Evaluation:
    """Detect on every image of the data set and compare with its annotation file.

    Runs in eval mode and puts every module back into the mode it came in. `precision` bfloat16 runs the network under
    autocast; scores, NMS and masks are float32 either way. `num_workers` processes read images; 0: this one.
    """
    loader = DataLoader(
        dataset,
        batch_size=inference.batch_size,
        collate_fn=collate,
        num_workers=num_workers,
        generator=torch.Generator(),  # else each pass would draw a number from the global generator
    )
    thresholds = inference.model_dump(exclude={"batch_size"})
    autocast = torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bfloat16")
    box_results, mask_results = [], []
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            for batch in tqdm(loader, desc="evaluate", leave=False, disable=not progress):
                with autocast:
                    detections = detect(model, batch.to(device), **thresholds)
                for image_id, found in zip(batch.image_ids, detections, strict=True):
                    boxes, masks = coco_results(found, image_id, dataset.category_ids)
                    box_results += boxes
                    mask_results += masks
    finally:
        for module, mode in modes:
            module.training = mode
    metrics, per_category = coco_metrics(
        dataset.annotation_path,
        box_results,
        mask_results,
        image_ids=dataset.image_ids,
        category_ids=dataset.category_ids,
    )
    per_class = {
        name: per_category[category_id]
        for name, category_id in zip(dataset.categories, dataset.category_ids, strict=True)
    }
    return Evaluation(metrics, per_class, box_results, mask_results)


def coco_results(
    detections: Detections, image_id: int, category_ids: Sequence[int]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Box results and mask results of one image; `category_ids` are the file's ids by label."""
    boxes = detections.boxes.clone()
    boxes[:, 2:] -= boxes[:, :2]
    box_results, mask_results = [], []
    for box, score, label, mask in zip(
        boxes.tolist(), detections.scores.tolist(), detections.labels.tolist(), detections.masks, strict=True
    ):
        detection = {"image_id": image_id, "category_id": category_ids[label], "score": score}
        encoding = {"size": list(mask["size"]), "counts": mask["counts"].decode("ascii")}
        box_results.append(detection | {"bbox": box})
        mask_results.append(detection | {"segmentation": encoding})
    return box_results, mask_results


def write_results(results: list[dict[str, Any]], path: Path) -> None:
    """Write box results or mask results as a JSON file that pycocotools' `loadRes` reads."""
    path.write_text(json.dumps(results))
