"""Evaluation of a model on a data set: its detections in COCO's results format and their metrics."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from core.compute.compute import Compute
from core.config import InferenceConfig
from core.config.values import Precision
from core.datasets.annotation_file import AnnotationFile
from core.datasets.coco import CocoDataset
from core.evaluation.coco_metrics import coco_metrics
from core.evaluation.detection import detect_images


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a model on a data set, and the detections they were computed from.

    Entry i of both results is one detection. There are two lists because pycocotools uses the box area for any result
    with a box, and would then assign masks to small, medium and large by their boxes.
    """

    metrics: dict[str, float]  # the keys METRICS of coco_metrics; AP in percent, NaN: nothing to find
    recalls: dict[str, float]  # the keys RECALLS there, percent
    per_class: dict[str, float]  # mask AP by class name, percent
    box_per_class: dict[str, float]  # box AP by class name, percent
    box_results: list[dict[str, Any]]  # COCO's results format, `bbox` xywh
    mask_results: list[dict[str, Any]]  # COCO's results format, `segmentation` with `counts` as text


def evaluate(
    model: nn.Module,
    dataset: CocoDataset,
    file: AnnotationFile,
    inference: InferenceConfig,
    compute: Compute,
    *,
    precision: Precision = "float32",
    limit: int | None = None,
) -> Evaluation:
    """Run detection on all images of the data set and evaluate against its annotation file.

    Other arguments as in `detect_images`; each worker returns the evaluation of all images.

    Raises:
        ValueError: before the network runs, if the data set was read from another file, or pycocotools cannot read
            some annotations (`AnnotationFile.check_for_evaluation`).
    """
    if dataset.annotation_path != file.path:
        raise ValueError(f"the data set was read from {dataset.annotation_path}, expected {file.path}")
    file.check_for_evaluation()
    box_results, mask_results = detect_images(model, dataset, inference, compute, precision=precision, limit=limit)
    scores = coco_metrics(
        file.content,
        box_results,
        mask_results,
        image_ids=dataset.image_ids[:limit],
        category_ids=dataset.category_ids,
    )
    per_class, box_per_class = (
        {name: ap[id_] for name, id_ in zip(dataset.categories, dataset.category_ids, strict=True)}
        for ap in (scores.per_category, scores.box_per_category)
    )
    return Evaluation(scores.metrics, scores.recalls, per_class, box_per_class, box_results, mask_results)
