"""The pairwise term the plain way: every edge of every location. The oracle of the tests and of the benchmark."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from core.neighborhood import Neighborhood


def dense_edges(logits: Float[Tensor, "N h w"], neighborhood: Neighborhood) -> Float[Tensor, "N E h w"]:
    """-log P(same label) of each pixel and its neighbors, in log space; 0 where the neighbor is off the grid."""
    size, dilation = neighborhood.size, neighborhood.dilation
    center = size * size // 2

    def neighbors(values: Tensor) -> Tensor:
        columns = functional.unfold(values[:, None], size, dilation=dilation, padding=neighborhood.margin)
        columns = columns.view(len(values), size * size, *values.shape[1:])
        return torch.cat([columns[:, :center], columns[:, center + 1 :]], dim=1)

    log_foreground, log_background = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    # Beyond the grid both are padded with 0, so that an edge that leaves it costs -log(p + (1 - p)) = 0.
    both_foreground = log_foreground[:, None] + neighbors(log_foreground)
    both_background = log_background[:, None] + neighbors(log_background)
    return -torch.logaddexp(both_foreground, both_background)


def dense_pairwise_loss(
    logits: Float[Tensor, "N h w"],
    box_masks: Bool[Tensor, "N h w"],
    similar_edges: Bool[Tensor, "N E h w"],
    neighborhood: Neighborhood,
) -> Float[Tensor, ""]:
    """The mean over the counted edges; box masks and edges copied for each location."""
    on_grid = neighborhood.neighbors(torch.ones_like(logits[0]))
    weights = (similar_edges & box_masks[:, None]) * on_grid
    return (dense_edges(logits, neighborhood) * weights).sum() / weights.sum().clamp(min=1)
