"""Which edges a box supervises, and how often each counts: as the paper says, as the released code does, or inside."""

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn import functional

from core.config.loss import EdgeMembership
from core.neighborhood import Neighborhood
from core.structures import SupervisedEdges


def counted_by(edges: SupervisedEdges, box_masks: Bool[Tensor, "T h w"], membership: EdgeMembership) -> SupervisedEdges:
    """Count the edges of `supervised_edges` in another way; `each_end` returns them as they are.

    - `each_end` (AdelaiDet): once for each end in the box that sees the other as similar. An edge inside of the box
      has weight 2, one that leaves it weight 1.
    - `one_end` (BoxInst, arXiv:2012.02310: at least one of the two pixels is in the box): the same edges, each with
      weight 1. In the mean, an edge that leaves the box counts as much as one inside of it.
    - `both_ends` (ours): only the edges inside of the box, each with weight 1. None leaves it, so that nothing but the
      projection says what lies outside of it.

    `share_kept` stays that of `each_end`: it says how many edges are similar, however they are counted.
    """
    if membership == "each_end":
        return edges
    kept, first, second, same, start = edges.counted.sum(), edges.first, edges.second, edges.same, edges.start
    if membership == "both_ends":
        targets = torch.arange(len(box_masks), device=box_masks.device)
        target = targets.repeat_interleave(start.diff(), output_size=len(first))
        origin, in_box = target * box_masks[0].numel() if len(box_masks) else target, box_masks.flatten()
        inside = in_box[origin + first] & in_box[origin + second]
        first, second, same = first[inside], second[inside], None if same is None else same[inside]
        start = functional.pad(inside.cumsum(0), (1, 0))[start]
    return replace(
        edges,
        first=first,
        second=second,
        weight=torch.ones_like(first, dtype=torch.uint8),
        counted=start.diff(),
        start=start,
        same=same,
        kept=kept,
    )


def averaged_over_all(
    edges: SupervisedEdges, box_masks: Bool[Tensor, "T h w"], neighborhood: Neighborhood
) -> SupervisedEdges:
    """Let the mean of the pairwise term run over all edges at the pixels of the box, similar or not.

    The sum stays that of the supervised edges, so the color threshold scales the term, too: where it keeps a fifth of
    the edges, the term has a fifth of its weight. So the paper's formula divides, as we remember it (unconfirmed); the
    released code divides by the supervised edges. Each end in the box counts, also for edges that lead off the grid.
    """
    kept = edges.counted.sum() if edges.kept is None else edges.kept
    return replace(edges, counted=neighborhood.num_edges * box_masks.flatten(1).sum(1), kept=kept)
