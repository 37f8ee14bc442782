"""Semantic head: a class for every cell of P3, used only by an auxiliary loss."""

import math

from jaxtyping import Float
from torch import Tensor, nn

from core.model.mask_branch import block

NUM_CONVS = 2


class SemanticHead(nn.Module):
    """CondInst's auxiliary semantic segmentation (the `sem` models of AdelaiDet): two convolutions on P3, then classes.

    `class_prior` is the initial probability of each class.
    """

    def __init__(self, *, in_channels: int, channels: int, num_classes: int, class_prior: float) -> None:
        super().__init__()
        widths = [in_channels] + [channels] * (NUM_CONVS - 1)
        self.tower = nn.Sequential(*(block(width, channels) for width in widths))
        self.logits = nn.Conv2d(channels, num_classes, 1)
        nn.init.constant_(self.logits.bias, -math.log((1 - class_prior) / class_prior))

    def forward(self, p3: Float[Tensor, "B C i j"]) -> Float[Tensor, "B K i j"]:
        """Class logits at stride 8; there is no logit for the background."""
        return self.logits(self.tower(p3))
