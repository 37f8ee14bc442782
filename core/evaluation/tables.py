"""COCO's twelve metrics as text, in the order of pycocotools."""

import math
from collections.abc import Mapping

from core.evaluation.coco_metrics import AP_KEYS, AR_KEYS

MEANINGS = {  # as pycocotools prints them: IoU, object area, detections per image
    "AP": "IoU 0.50:0.95   all objects    100 detections",
    "AP50": "IoU 0.50        all objects    100 detections",
    "AP75": "IoU 0.75        all objects    100 detections",
    "APs": "IoU 0.50:0.95   small          100 detections",
    "APm": "IoU 0.50:0.95   medium         100 detections",
    "APl": "IoU 0.50:0.95   large          100 detections",
    "AR1": "IoU 0.50:0.95   all objects      1 detection",
    "AR10": "IoU 0.50:0.95   all objects     10 detections",
    "AR100": "IoU 0.50:0.95   all objects    100 detections",
    "ARs": "IoU 0.50:0.95   small          100 detections",
    "ARm": "IoU 0.50:0.95   medium         100 detections",
    "ARl": "IoU 0.50:0.95   large          100 detections",
}


def metrics_table(metrics: Mapping[str, float], recalls: Mapping[str, float]) -> str:
    """Average precision and recall of boxes and masks in percent, one metric per line; a dash means nothing to find.

    `metrics` and `recalls` are those of `CocoScores`.
    """
    numbers = {**metrics, **recalls}
    rows = [
        f"{key:<6} {MEANINGS[key]:<46}{_cell(numbers[f'box_{key}'])}{_cell(numbers[f'mask_{key}'])}"
        for key in AP_KEYS + AR_KEYS
    ]
    return "\n".join([f"{'percent':<53}{'boxes':>8}{'masks':>8}", *rows])


def class_table(box_ap: Mapping[str, float], mask_ap: Mapping[str, float]) -> str:
    """AP of each class in percent, in the order of the classes; a dash means nothing to find."""
    width = max(len("AP by class"), *(len(name) for name in box_ap)) + 2
    rows = [f"{name:<{width}}{_cell(box_ap[name])}{_cell(mask_ap[name])}" for name in box_ap]
    return "\n".join([f"{'AP by class':<{width}}{'boxes':>8}{'masks':>8}", *rows])


def _cell(value: float) -> str:
    return f"{'-':>8}" if math.isnan(value) else f"{value:8.2f}"
