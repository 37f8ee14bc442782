"""Dice loss: overlap of a soft mask, or its profile, with a binary target."""

from jaxtyping import Bool, Float, Int64
from torch import Tensor

from core.structures import WeightedMasks

EPSILON = 1e-5  # AdelaiDet; in the denominator only


def dice_distance(probabilities: Float[Tensor, "N *cells"], targets: Bool[Tensor, "N *cells"]) -> Float[Tensor, " N"]:
    """Compare each of N soft masks with its target: 1 - 2 sum(xt) / (sum(x^2) + sum(t^2) + 1e-5), in 0..1.

    V-Net (arXiv:1606.04797) with squares in the denominator, as CondInst and BoxInst use it. An empty target costs 1
    and gives no gradient.
    """
    x, t = probabilities.flatten(1), targets.flatten(1)
    overlap = (x * t).sum(1)
    return 1 - 2 * overlap / (x.square().sum(1) + t.sum(1) + EPSILON)


def dice_loss(
    mask_logits: Float[Tensor, "N h w"], targets: Bool[Tensor, "T h w"], target_index: Int64[Tensor, " N"]
) -> tuple[Float[Tensor, ""], int]:
    """Sum the Dice distance of the mask of each location, and count the locations.

    `targets` are T true masks or filled boxes; `target_index` is the target of each location.
    """
    return dice_distance(mask_logits.sigmoid(), targets[target_index]).sum(), len(mask_logits)


def weighted_dice_loss(
    mask_logits: Float[Tensor, "N h w"], targets: WeightedMasks, target_index: Int64[Tensor, " N"]
) -> tuple[Float[Tensor, ""], int]:
    """Sum the Dice distance of the mask of each location times the weight of its target, and count the locations.

    The count is not weighted: where a teacher is unsure of all its masks, the term is small.
    """
    distance = dice_distance(mask_logits.sigmoid(), targets.masks[target_index])
    return (distance * targets.weights[target_index]).sum(), len(mask_logits)
