"""The pairwise term: two neighboring pixels take the same label, or not; only supervised edges are touched."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int32, Int64, UInt8
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from core.compute.workers import ALONE, Workers
from core.neighborhood import Neighborhood

# What is held at once: bounds the memory, and small pieces that stay in a CPU's cache are fastest.
EDGES_PER_CHUNK = 2**15
CELLS_PER_CHUNK = 2**19  # of the box masks of all instances


@dataclass(frozen=True)
class SupervisedEdges:
    """The edges that T annotated instances supervise, listed once for all locations that answer for them.

    An edge joins two pixels of the mask grid, each given as `y * w + x`. AdelaiDet counts it once for each end that
    lies in the box and sees the other as similar; here it is listed once, with weight 1 or 2.
    S edges in all, those of instance t from `start[t]` to `start[t + 1]`. Edges of similar color are taken to have one
    label at both ends; where the labels are known, `same` says whether they have.
    """

    first: Int32[Tensor, " S"]
    second: Int32[Tensor, " S"]
    weight: UInt8[Tensor, " S"]
    counted: Int64[Tensor, " T"]  # sum of the weights
    start: Int64[Tensor, " T+1"]
    possible: int  # edges that leave the pixels of all box masks, kept or not
    same: Bool[Tensor, " S"] | None = None  # None: all of them

    @property
    def share_kept(self) -> float:
        """Share of the box pixels' edges that are supervised; NaN without box pixels."""
        return float(self.counted.sum()) / self.possible if self.possible else float("nan")


def supervised_edges(
    box_masks: Bool[Tensor, "T h w"],
    similar_edges: Bool[Tensor, "B E h w"],
    image_index: Int64[Tensor, " T"],
    neighborhood: Neighborhood,
) -> SupervisedEdges:
    """List the edges that leave a pixel of the box mask and are similar, for each of T annotated instances.

    An edge that leaves the grid is never listed, whatever `similar_edges` says of it: it costs nothing in AdelaiDet.

    Raises:
        ValueError: if E differs from `neighborhood.num_edges`.
    """
    num_edges, h, w = similar_edges.shape[1:]
    if num_edges != neighborhood.num_edges:
        raise ValueError(f"similar_edges has {num_edges} edges per pixel, expected {neighborhood.num_edges}")
    device, cells, num_targets = box_masks.device, h * w, len(box_masks)
    on_grid = neighborhood.neighbors(torch.ones((h, w), dtype=torch.bool, device=device))
    similar = (similar_edges & on_grid).permute(0, 2, 3, 1).reshape(-1, num_edges).contiguous()  # B*h*w E
    step = torch.tensor([dy * w + dx for dy, dx in neighborhood.offsets], device=device)
    # From pixel i, edge e leads to pixel i + step[e]; edge E - 1 - e leads back. Its index in `similar`, less E * i:
    way_back = step * num_edges + torch.arange(num_edges - 1, -1, -1, device=device)

    pieces, possible = [], 0
    instances_per_chunk = max(CELLS_PER_CHUNK // cells, 1)
    for low in range(0, max(num_targets, 1), instances_per_chunk):  # once even without instances
        in_box = box_masks[low : low + instances_per_chunk].flatten()
        pixel = in_box.nonzero().squeeze(1)
        target = pixel.div(cells, rounding_mode="floor") + low
        image_pixel = pixel + (image_index[target] - target + low) * cells
        row, edge = similar.index_select(0, image_pixel).nonzero().unbind(1)

        first, target, image_pixel = (values.index_select(0, row) for values in (pixel, target, image_pixel))
        second = first + step.index_select(0, edge)
        seen_back = similar.view(-1).index_select(0, image_pixel * num_edges + way_back.index_select(0, edge))
        counted_twice = in_box.index_select(0, second) & seen_back
        listed = (~counted_twice | (edge < num_edges // 2)).nonzero().squeeze(1)

        first, second, target, counted_twice = (
            values.index_select(0, listed) for values in (first, second, target, counted_twice)
        )
        origin = (target - low) * cells
        pieces.append(((first - origin).int(), (second - origin).int(), counted_twice.byte() + 1, target))
        possible += num_edges * len(pixel)

    first, second, weight, target = (torch.cat(parts) for parts in zip(*pieces, strict=True))
    start = torch.searchsorted(target, torch.arange(num_targets + 1, device=device))
    counted_before = functional.pad(weight.cumsum(0, dtype=torch.int64), (1, 0))
    return SupervisedEdges(first, second, weight, counted_before[start].diff(), start, possible)


def labeled_edges(
    masks: Bool[Tensor, "T h w"], box_masks: Bool[Tensor, "T h w"], neighborhood: Neighborhood
) -> SupervisedEdges:
    """List all edges that leave a pixel of the box mask, whatever its color, with what the true masks say of them.

    The edges of the loss under full supervision (BoxInst, equation 5): those with at least one end in the box, of
    both kinds. As with `supervised_edges`, one with both ends in the box has weight 2.
    """
    h, w = masks.shape[1:]
    every = torch.ones((1, neighborhood.num_edges, h, w), dtype=torch.bool, device=masks.device)
    one_image = torch.zeros(len(masks), dtype=torch.int64, device=masks.device)
    edges = supervised_edges(box_masks, every, one_image, neighborhood)
    origin = torch.arange(len(masks), device=masks.device) * (h * w)
    origin = origin.repeat_interleave(edges.start.diff(), output_size=len(edges.first))
    labels = masks.flatten()
    return replace(edges, same=labels[origin + edges.first] == labels[origin + edges.second])


def pairwise_loss(
    mask_logits: Float[Tensor, "N h w"],
    edges: SupervisedEdges,
    target_index: Int64[Tensor, " N"],
    workers: Workers = ALONE,
) -> Float[Tensor, ""]:
    """Negative log-probability that the two pixels of an edge take the same label, mean over counted edges.

    BoxInst (arXiv:2012.02310), equations 4 and 6: with mask probabilities p and q at the two ends,
    -log(pq + (1-p)(1-q)), here from logits and exact however large they are; where `edges.same` is false it is
    -log(p(1-q) + (1-p)q), the other part of equation 5. `target_index` says which of the T instances of `edges` each
    location answers for.

    One normalizer for the batch, AdelaiDet's: the edges counted over all N locations (their mean over `workers`). With
    no counted edge, or N = 0, the result is 0 and still carries a gradient. On the CPU equal to the bit from run to
    run; on CUDA the gradient's sums are taken in any order.
    """
    total = _NegativeLogSame.apply(mask_logits.contiguous(), edges, target_index)
    return total / workers.mean(edges.counted[target_index].sum()).clamp(min=1)


class _NegativeLogSame(torch.autograd.Function):
    """Weighted sum of -log P(same label), or P(different label), over the edges of all locations.

    A pixel of logit b has one label just when one of logit -b has the other: an edge between different labels is one
    between the same labels with the sign of its second logit turned.

    Keeps nothing for the backward pass but the logits, and visits the edges in chunks: beyond the list of edges and
    the gradient itself, only one chunk is ever held.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, edges: SupervisedEdges, target_index: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target_index)
        ctx.edges = edges
        flat, total = logits.flatten(), logits.new_zeros(())
        for first, second, weight, sign in _edge_chunks(edges, target_index, logits):
            a, b = flat.index_select(0, first), flat.index_select(0, second)
            total += (weight * negative_log_same(a, b if sign is None else b * sign)).sum()
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        logits, target_index = ctx.saved_tensors
        flat, gradient = logits.flatten(), torch.zeros_like(logits)
        flat_gradient = gradient.view(-1)
        for first, second, weight, sign in _edge_chunks(ctx.edges, target_index, logits):
            a, b = flat.index_select(0, first), flat.index_select(0, second)
            b = b if sign is None else b * sign
            weight = weight * grad_output
            both = (a + b).sigmoid_()
            flat_gradient.scatter_add_(0, first, a.sigmoid_().sub_(both).mul_(weight))
            weight = weight if sign is None else weight * sign
            flat_gradient.scatter_add_(0, second, b.sigmoid_().sub_(both).mul_(weight))
        return gradient, None, None


def negative_log_same(a: Float[Tensor, "*n"], b: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Take -log P(same label) of two pixels from their logits: softplus(a) + softplus(b) - softplus(a + b).

    Taken apart because the softplus of large logits cancel: softplus(x) = relu(x) + log(1 + exp(-|x|)), and the three
    relu leave min(|a|, |b|) where the signs differ, else 0.
    """
    linear = torch.minimum(torch.maximum(a, b), -torch.minimum(a, b)).relu_()
    ends = (1 + a.abs().neg_().exp_()) * (1 + b.abs().neg_().exp_())
    return linear + (ends / (1 + (a + b).abs_().neg_().exp_())).log_()


def _edge_chunks(
    edges: SupervisedEdges, target_index: Int64[Tensor, " N"], logits: Float[Tensor, "N h w"]
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Go through all N locations' edges: indices of both ends into the flattened logits, weight, 1 or -1 by `same`."""
    cells = logits.shape[1] * logits.shape[2]
    start = edges.start[target_index]
    count = edges.start[target_index + 1] - start
    skipped = start - (count.cumsum(0) - count)  # from an edge's place among all N's edges to its place in `edges`
    origin = torch.arange(len(count), device=logits.device) * cells
    done = 0
    for low, high, size in _runs(count.tolist()):
        repeats = count[low:high]
        edge = torch.arange(done, done + size, device=logits.device)
        edge += skipped[low:high].repeat_interleave(repeats, output_size=size)
        offset = origin[low:high].repeat_interleave(repeats, output_size=size)
        first, second = edges.first.index_select(0, edge), edges.second.index_select(0, edge)
        sign = None if edges.same is None else edges.same.index_select(0, edge).to(logits.dtype) * 2 - 1
        yield first + offset, second + offset, edges.weight.index_select(0, edge).to(logits.dtype), sign
        done += size


def _runs(counts: list[int]) -> Iterator[tuple[int, int, int]]:
    """Cut the locations into runs [low, high) of at most EDGES_PER_CHUNK edges (or one location) and say how many."""
    low, size = 0, 0
    for high, count in enumerate(counts):
        if size and size + count > EDGES_PER_CHUNK:
            yield low, high, size
            low, size = high, 0
        size += count
    if size:
        yield low, len(counts), size
