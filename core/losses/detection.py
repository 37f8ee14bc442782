"""The three losses of FCOS: class, box and centerness (arXiv:1904.01355, as in AdelaiDet).

Each returns a sum and the number that AdelaiDet divides it by, before any lower limit.
"""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional
from torchvision.ops import sigmoid_focal_loss

from core.structures import BACKGROUND


def focal_loss(
    class_logits: Float[Tensor, "*n K"],
    labels: Int64[Tensor, " *n"],
    *,
    alpha: float,
    gamma: float,
    ignored: Bool[Tensor, " *n"] | None = None,
) -> tuple[Float[Tensor, ""], Int64[Tensor, ""]]:
    """Sum the focal loss (arXiv:1708.02002) over all locations and classes, and count the locations with a class.

    BACKGROUND locations have no class: they are in the sum, but not in the count. Those `ignored` are in neither.
    """
    if ignored is not None:
        class_logits, labels = class_logits[~ignored], labels[~ignored]
    classes = torch.arange(class_logits.shape[-1], device=labels.device)
    targets = (labels[..., None] == classes).to(class_logits.dtype)  # BACKGROUND is none of them
    total = sigmoid_focal_loss(class_logits, targets, alpha=alpha, gamma=gamma, reduction="sum")
    return total, (labels != BACKGROUND).sum()


def smoothed_iou(
    predicted: Float[Tensor, "N 4"], target: Float[Tensor, "N 4"]
) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
    """IoU and GIoU of boxes given as ltrb from one location, in units of its stride.

    The IoU is (I + 1) / (U + 1), also inside the GIoU (arXiv:1902.09630), so that a box without extent has a gradient;
    the enclosing term (A - U) / A of the GIoU is not smoothed. All as in AdelaiDet.
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
    """Sum 1 - GIoU over the positives, weighted by their centerness targets, and sum the weights; ltrb in strides."""
    return ((1 - smoothed_iou(predicted, target)[1]) * centerness).sum(), centerness.sum()


def centerness_loss(
    centerness_logits: Float[Tensor, " N"], centerness: Float[Tensor, " N"]
) -> tuple[Float[Tensor, ""], int]:
    """Sum the binary cross-entropy of the centerness over the positives, and count them."""
    total = functional.binary_cross_entropy_with_logits(centerness_logits, centerness, reduction="sum")
    return total, len(centerness)
