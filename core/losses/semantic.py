"""The auxiliary semantic loss: predict the class that each stride-8 cell shows."""

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from core.losses.detection import focal_loss
from core.structures import BACKGROUND


def semantic_loss(
    logits: Float[Tensor, "B K i j"],
    labels: list[Int64[Tensor, "i j"] | None],
    *,
    alpha: float,
    gamma: float,
    ignored: Bool[Tensor, "B i j"] | None = None,
) -> tuple[Float[Tensor, ""], Int64[Tensor, ""]]:
    """Sum the focal loss (arXiv:1708.02002) over all cells and classes, and count the cells that show an instance.

    As in AdelaiDet's `sem` models of CondInst. `labels` has one entry per image; an image without labels, because some
    instance has no mask, is excluded from both. So are cells that are `ignored`, if they show no instance.
    """
    labeled = [i for i, of_image in enumerate(labels) if of_image is not None]
    background = torch.full((0, *logits.shape[2:]), BACKGROUND, device=logits.device)
    targets = torch.stack([labels[i] for i in labeled]) if labeled else background
    left_out = None if ignored is None else ignored[labeled] & (targets == BACKGROUND)
    return focal_loss(logits[labeled].permute(0, 2, 3, 1), targets, alpha=alpha, gamma=gamma, ignored=left_out)
