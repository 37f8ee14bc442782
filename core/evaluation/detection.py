"""Detection on a whole data set, shared among workers, with results in COCO's format."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from core.compute.compute import Compute
from core.compute.precision import autocast
from core.config import InferenceConfig
from core.config.values import Precision
from core.datasets.coco import CocoDataset
from core.datasets.loader import BatchLoader
from core.evaluation.postprocess import detect
from core.structures import Detections


def detect_images(
    model: nn.Module,
    dataset: CocoDataset,
    inference: InferenceConfig,
    compute: Compute,
    *,
    precision: Precision = "float32",
    limit: int | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Box results and mask results of all images of the data set, or of the first `limit`.

    Runs in eval mode and restores the mode of every module. The network runs in its `network_precision`; scores, NMS
    and masks are always float32. Each worker processes a share of the images and returns the results of all.

    Raises:
        Stopped: between two batches, if `compute.stop` asks for it and there is one worker.
    """
    workers = compute.workers
    indices = range(len(dataset))[:limit][workers.rank :: workers.count]
    size = inference.batch_size
    batches = [indices[start : start + size] for start in range(0, len(indices), size)]
    thresholds = inference.model_dump(exclude={"batch_size"})
    results_of: dict[int, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}  # by image id
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with BatchLoader(dataset, compute.loader_processes) as loader, torch.inference_mode():
            loaded = loader.load(batches, dataset.epoch)
            bar = tqdm(loaded, desc="evaluate", total=len(batches), leave=False, disable=not compute.progress)
            for batch in bar:
                if workers.count == 1:  # several would have to stop at the same batch
                    compute.check_stop(f"the evaluation of {len(results_of)} of {len(indices)} images")
                with autocast(precision, compute.device):
                    detections = detect(model, batch.to(compute.device), **thresholds)
                for image_id, found in zip(batch.image_ids, detections, strict=True):
                    results_of[image_id] = coco_results(found, image_id, dataset.category_ids)
    finally:
        for module, mode in modes:
            module.training = mode
    for share in workers.gather(results_of):
        results_of |= share
    of_images = [results_of[image_id] for image_id in dataset.image_ids[:limit]]
    return [result for boxes, _ in of_images for result in boxes], [
        result for _, masks in of_images for result in masks
    ]


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
