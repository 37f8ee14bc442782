"""Select the detections among the raw predictions of images: score threshold, NMS, the best ones."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.ops import batched_nms

from core.geometry import boxes_from_ltrb
from core.structures import Predictions


@dataclass(frozen=True)
class Survivors:
    """Detections of one image after NMS, best first, without masks."""

    location_index: Int64[Tensor, " N"]
    labels: Int64[Tensor, " N"]
    scores: Float[Tensor, " N"]  # sqrt(class probability * centerness)
    boxes: Float[Tensor, "N 4"]  # xyxy, input pixels, not clipped: may extend past the image

    def __getitem__(self, kept: slice | Int64[Tensor, " M"]) -> "Survivors":
        return Survivors(self.location_index[kept], self.labels[kept], self.scores[kept], self.boxes[kept])


def select_detections(
    predictions: Predictions,
    *,
    score_threshold: float,
    max_candidates: int,
    nms_threshold: float,
    max_detections: int,
) -> list[Survivors]:
    """Select the (location, class) pairs of each image that become detections; the result is on the CPU.

    FCOS (arXiv:1904.01355) as in AdelaiDet: class probability * centerness above `score_threshold`, the best
    `max_candidates` pairs of each level, NMS per class on unclipped boxes, the best `max_detections`. One location may
    give detections of several classes.

    Detections that tie with the last one kept are kept too, so there may be more than `max_detections`.
    For a GPU, the host waits five times for all images, and in the NMS of each.
    """
    centerness = predictions.centerness_logits.float().sigmoid()
    quality = predictions.class_logits.float().sigmoid() * centerness[..., None]  # B P K
    image_index, location_index, labels = (quality > score_threshold).nonzero(as_tuple=True)
    quality = quality[image_index, location_index, labels]
    ltrb = predictions.ltrb[image_index, location_index].float() * predictions.strides[location_index, None]
    boxes = boxes_from_ltrb(predictions.locations[location_index], ltrb)
    candidates = Survivors(location_index, labels, quality.sqrt(), boxes)

    survivors = []
    for of_levels in _slices_of_levels(predictions, image_index, location_index):
        kept = torch.cat([_best(quality, of_level, max_candidates) for of_level in of_levels])
        of_image = candidates[kept]
        survivors.append(of_image[batched_nms(of_image.boxes, of_image.scores, of_image.labels, nms_threshold)])
    return [_with_ties(of_image, max_detections) for of_image in _on_host(survivors)]


def _slices_of_levels(
    predictions: Predictions, image_index: Int64[Tensor, " N"], location_index: Int64[Tensor, " N"]
) -> list[list[slice]]:
    """The part of each level of each image among candidates, which are ordered by image, then by location."""
    num_images, num_levels = len(predictions.class_logits), int(predictions.level_index[-1]) + 1
    group = image_index * num_levels + predictions.level_index[location_index]  # ascending
    groups = torch.arange(num_images * num_levels, device=group.device)
    ends = torch.searchsorted(group, groups, right=True).tolist()
    slices = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    return [slices[first : first + num_levels] for first in range(0, len(slices), num_levels)]


def _best(quality: Float[Tensor, " N"], part: slice, count: int) -> Int64[Tensor, " M"]:
    """Indices of the `count` best candidates of a part; if it has no more, of all of them in order."""
    if part.stop - part.start <= count:
        return torch.arange(part.start, part.stop, device=quality.device)
    return quality[part].topk(count).indices + part.start


def _on_host(survivors: list[Survivors]) -> list[Survivors]:
    """The detections of all images on the CPU, by two copies: of indices and of numbers."""
    indices = torch.cat([torch.stack([each.location_index, each.labels]) for each in survivors], dim=1).cpu()
    numbers = torch.cat([torch.cat([each.scores[:, None], each.boxes], dim=1) for each in survivors]).cpu()
    counts = [len(each.scores) for each in survivors]
    return [
        Survivors(location_index, labels, of_image[:, 0], of_image[:, 1:])
        for (location_index, labels), of_image in zip(indices.split(counts, dim=1), numbers.split(counts), strict=True)
    ]


def _with_ties(survivors: Survivors, count: int) -> Survivors:
    """The `count` best, and those that tie with the last of them."""
    if len(survivors.scores) <= count:
        return survivors
    return survivors[: np.count_nonzero((survivors.scores >= survivors.scores[count - 1]).numpy())]
