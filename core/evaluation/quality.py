"""Every metric that detections determine: AP of boxes, masks and boundaries, and quality of masks apart from detection.

A training measures the AP after its epochs (`evaluate`); the rest once, of its last detections. Both can be computed
again from kept detections (`core.evaluation.kept_detections`), equal to the last digit.
"""

from typing import Any

from core.datasets.annotation_file import AnnotationFile
from core.evaluation.boundary import boundary_metrics
from core.evaluation.coco_metrics import coco_metrics
from core.evaluation.mask_quality import mask_quality

Results = list[dict[str, Any]]


def quality_metrics(file: AnnotationFile, box_results: Results, mask_results: Results) -> dict[str, float]:
    """BOUNDARY_METRICS and MASK_QUALITY of the detections in all images of the file, on which `evaluate` has run."""
    whole = {"image_ids": [image.image_id for image in file.images], "category_ids": file.category_ids}
    boundary = boundary_metrics(file.content, mask_results, **whole)
    return boundary | mask_quality(file.content, box_results, mask_results, **whole)


def every_metric(file: AnnotationFile, box_results: Results, mask_results: Results) -> dict[str, float]:
    """METRICS of `coco_metrics` and those of `quality_metrics`."""
    whole = {"image_ids": [image.image_id for image in file.images], "category_ids": file.category_ids}
    scores = coco_metrics(file.content, box_results, mask_results, **whole)
    return scores.metrics | quality_metrics(file, box_results, mask_results)
