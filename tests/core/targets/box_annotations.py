"""Annotations of boxes without masks."""

import torch

from core.structures import Annotations


def annotations(boxes: list[list[float]] | torch.Tensor, labels: list[int] | torch.Tensor | None = None) -> Annotations:
    boxes = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    labels = torch.arange(len(boxes)) if labels is None else torch.as_tensor(labels)
    nothing = torch.zeros(len(boxes), 1, 1, dtype=torch.bool)
    return Annotations(boxes, labels, nothing[:, 0, 0], nothing, (boxes[:, :2] + boxes[:, 2:]) / 2)
