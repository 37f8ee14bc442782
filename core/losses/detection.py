"""FCOS's three losses: class, box and centerness of every location (arXiv:1904.01355, as trained by AdelaiDet).

Each is a sum and what AdelaiDet divides it by, before any lower limit.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from core.structures import BACKGROUND


def focal_loss(
    class_logits: Float[Tensor, "*n K"], labels: Int64[Tensor, " *n"], *, alpha: float, gamma: float
) -> tuple[Float[Tensor, ""], Int64[Tensor, ""]]:
    """Sum the focal loss (arXiv:1708.02002) of all locations and classes, and count the locations of a class.

    A BACKGROUND location is of no class: it is in the sum and does not count.
    """
    num_classes = class_logits.shape[-1]
    # One more column takes the background and is dropped.
    column = torch.where(labels == BACKGROUND, num_classes, labels)
    targets = functional.one_hot(column, num_classes + 1)[..., :-1].to(class_logits.dtype)
    total = sigmoid_focal_loss(class_logits, targets, alpha=alpha, gamma=gamma, reduction="sum")
    return total, (labels != BACKGROUND).sum()


def smoothed_iou(
    predicted: Float[Tensor, "N 4"], target: Float[Tensor, "N 4"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """IoU and GIoU of boxes given as ltrb from one location, in units of its stride.

    The IoU is (I + 1) / (U + 1), also within the GIoU (arXiv:1902.09630), so that a box without extent has a gradient;
    its enclosing term (A - U) / A is not smoothed. All as in AdelaiDet.
    """
    width = torch.minimum(predicted, target)[:, 0::2].sum(1)
    height = torch.minimum(predicted, target)[:, 1::2].sum(1)
    hull_width = torch.maximum(predicted, target)[:, 0::2].sum(1)
    hull_height = torch.maximum(predicted, target)[:, 1::2].sum(1)
    intersection, hull = width * height, hull_width * hull_height
    union = _area(predicted) + _area(target) - intersection
    iou = (intersection + 1) / (union + 1)
    return iou, iou - (hull - union) / hull


def _area(ltrb: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
    return (ltrb[:, 0] + ltrb[:, 2]) * (ltrb[:, 1] + ltrb[:, 3])


def giou_loss(
    predicted: Float[Tensor, "N 4"], target: Float[Tensor, "N 4"], centerness: Float[Tensor, " N"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Sum 1 - GIoU over the positives, weighted by their centerness targets, and the weights; ltrb in strides."""
    return ((1 - smoothed_iou(predicted, target)[1]) * centerness).sum(), centerness.sum()


def centerness_loss(
    centerness_logits: Float[Tensor, " N"], centerness: Float[Tensor, " N"]
) -> tuple[Float[Tensor, ""], int]:
    """Sum the binary cross-entropy of the positives' centerness, and count the positives."""
    total = functional.binary_cross_entropy_with_logits(centerness_logits, centerness, reduction="sum")
    return total, len(centerness)
