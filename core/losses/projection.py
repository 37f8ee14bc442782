"""The projection term: on each axis, the projection of a mask must equal that of its box."""

from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from core.losses.dice import dice_distance


def x_profile(maps: Shaped[Tensor, "N h w"]) -> Shaped[Tensor, "N w"]:
    """Project onto the x axis: the maximum of each column. The gradient goes to the first of equal maxima."""
    return maps.max(dim=1).values  # not amax, which splits the gradient between ties; upsampled logits do tie


def y_profile(maps: Shaped[Tensor, "N h w"]) -> Shaped[Tensor, "N h"]:
    """Project onto the y axis: the maximum of each row. The gradient goes to the first of equal maxima."""
    return maps.max(dim=2).values


def projection_distance(
    mask_logits: Float[Tensor, "N h w"], targets: Bool[Tensor, "T h w"], target_index: Int64[Tensor, " N"]
) -> Float[Tensor, " N"]:
    """Compare the profiles of each mask with those of its box: Dice on x plus Dice on y, in 0..2 for each location.

    The projection loss of BoxInst (arXiv:2012.02310). `targets` are T box masks, or true masks, whose profiles are
    those of their boxes; `target_index` is the target of each location. A target without a cell costs 2 and gives no
    gradient.
    """
    # The sigmoid of the maximum equals the maximum of the sigmoid, and is cheaper.
    on_x = dice_distance(x_profile(mask_logits).sigmoid(), targets.any(1)[target_index])
    on_y = dice_distance(y_profile(mask_logits).sigmoid(), targets.any(2)[target_index])
    return on_x + on_y


def projection_loss(
    mask_logits: Float[Tensor, "N h w"], targets: Bool[Tensor, "T h w"], target_index: Int64[Tensor, " N"]
) -> tuple[Float[Tensor, ""], int]:
    """Sum `projection_distance` over the locations, and count them."""
    return projection_distance(mask_logits, targets, target_index).sum(), len(mask_logits)
