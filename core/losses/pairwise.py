"""The pairwise term: neighboring pixels of similar color take the same label; only supervised edges are touched."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.neighborhood import Neighborhood

EDGES_PER_CHUNK = 2**17  # edges held at once: bounds the memory, and what fits a CPU's cache is fastest
CELLS_PER_CHUNK = 2**19


@dataclass(frozen=True)
class SupervisedEdges:
    """The edges that T annotated instances supervise, listed once for all locations that answer for them.

    An edge joins two pixels of the mask grid, given as `y * w + x`. AdelaiDet counts it once for each of its ends
    that lies in the box and sees the other end as similar: `weight` is 1 or 2, so that each pair is visited once.
    S edges in all, those of instance t from `start[t]` to `start[t + 1]`.
    """

    first: Int64[Tensor, " S"]
    second: Int64[Tensor, " S"]
    weight: Float[Tensor, " S"]
    start: Int64[Tensor, " T_plus_1"]
    counted: Int64[Tensor, " T"]  # sum of the weights
    possible: int  # edges that leave the pixels of all T box masks, kept or not


def supervised_edges(
    box_masks: Bool[Tensor, "T h w"],
    similar_edges: Bool[Tensor, "B E h w"],
    image_index: Int64[Tensor, " T"],
    neighborhood: Neighborhood,
) -> SupervisedEdges:
    """List the edges from pixels in each box mask whose color similarity reaches the threshold.

    Edges that leave the grid are never listed, whatever `similar_edges` says of them: they cost nothing in AdelaiDet.

    Raises:
        ValueError: if E differs from `neighborhood.num_edges`.
    """
    num_edges, h, w = similar_edges.shape[1:]
    if num_edges != neighborhood.num_edges:
        raise ValueError(f"similar_edges has {num_edges} edges per pixel, expected {neighborhood.num_edges}")
    device, num_targets = box_masks.device, len(box_masks)
    on_grid = neighborhood.neighbors(box_masks.new_ones(h, w))
    similar = (similar_edges & on_grid).flatten(2).transpose(1, 2).flatten(0, 1)  # B*h*w E
    step = torch.tensor([dy * w + dx for dy, dx in neighborhood.offsets], device=device)
    # Flat index of pixel i's opposite edge at its neighbor, less E * i: edge E-1-e of pixel i + step.
    opposite = step * num_edges + torch.arange(num_edges - 1, -1, -1, device=device)

    listed, possible = [], 0
    for low in range(0, num_targets, max(CELLS_PER_CHUNK // (h * w), 1)):
        chunk = box_masks[low : low + max(CELLS_PER_CHUNK // (h * w), 1)]
        in_box = chunk.flatten()
        pixel = in_box.nonzero().squeeze(1)
        target = pixel.div(h * w, rounding_mode="floor")
        to_image = (image_index[low : low + len(chunk)] - torch.arange(len(chunk), device=device)) * (h * w)
        image_pixel = pixel + to_image.index_select(0, target)
        row, edge = similar.index_select(0, image_pixel).nonzero().unbind(1)
        first = pixel.index_select(0, row)
        second = first + step.index_select(0, edge)
        seen = image_pixel.index_select(0, row).mul_(num_edges).add_(opposite.index_select(0, edge))
        both = in_box.index_select(0, second) & similar.view(-1).index_select(0, seen)
        keep = ((edge < num_edges // 2) | ~both).nonzero().squeeze(1)
        first, second, both = first.index_select(0, keep), second.index_select(0, keep), both.index_select(0, keep)
        target = target.index_select(0, row.index_select(0, keep))
        origin = target * (h * w)
        listed.append((first.sub_(origin), second.sub_(origin), both + 1.0, target + low))
        possible += num_edges * len(pixel)
    first, second, weight, target = (torch.cat(x) for x in zip(*listed))
    start = torch.zeros(num_targets + 1, dtype=torch.int64, device=device)
    start[1:] = torch.bincount(target, minlength=num_targets).cumsum(0)
    counted = torch.bincount(target, weight, minlength=num_targets).long()
    return SupervisedEdges(first, second, weight, start, counted, possible)


def pairwise_loss(
    mask_logits: Float[Tensor, "N h w"], edges: SupervisedEdges, target_index: Int64[Tensor, " N"]
) -> Float[Tensor, ""]:
    """Negative log-probability that the two pixels of a supervised edge take the same label, mean over counted edges.

    BoxInst (arXiv:2012.02310), equations 4 and 6: with mask probabilities p and q at the two ends,
    -log(pq + (1-p)(1-q)), here from logits and exact however large they are. `target_index` says which of the T
    instances of `edges` each location answers for.

    One normalizer for the batch, AdelaiDet's: the edges counted over all N locations. With no counted edge, or
    N = 0, the result is 0 and still carries a gradient.
    """
    total = _NegativeLogSame.apply(mask_logits.contiguous(), edges, target_index)
    return total / edges.counted[target_index].sum().clamp(min=1)


class _NegativeLogSame(torch.autograd.Function):
    """Weighted sum of -log P(same label) over the edges of all locations.

    Keeps nothing for the backward pass but the logits, and visits the edges in chunks: beyond the gradient itself,
    the memory needed depends on neither N nor the grid.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, edges: SupervisedEdges, target_index: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target_index)
        ctx.edges = edges
        flat, total = logits.flatten(), logits.new_zeros(())
        for first, second, weight in _edge_chunks(edges, target_index, logits.shape[1] * logits.shape[2]):
            a, b = flat.index_select(0, first), flat.index_select(0, second)
            total += (weight * _negative_log_same(a, b)).sum()
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        logits, target_index = ctx.saved_tensors
        flat, gradient = logits.flatten(), torch.zeros_like(logits)
        flat_gradient = gradient.view(-1)
        for first, second, weight in _edge_chunks(ctx.edges, target_index, logits.shape[1] * logits.shape[2]):
            a, b = flat.index_select(0, first), flat.index_select(0, second)
            weight = weight * grad_output
            both = (a + b).sigmoid_()
            flat_gradient.scatter_add_(0, first, a.sigmoid_().sub_(both).mul_(weight))
            flat_gradient.scatter_add_(0, second, b.sigmoid_().sub_(both).mul_(weight))
        return gradient, None, None


def _negative_log_same(a: Tensor, b: Tensor) -> Tensor:
    """softplus(a) + softplus(b) - softplus(a + b), which is -log P(same label) of the logits a and b.

    Taken apart because the softplus of large logits cancel: softplus(x) = relu(x) + log(1 + exp(-|x|)), and the three
    relu leave min(|a|, |b|) where the signs differ, else 0.
    """
    linear = torch.minimum(torch.maximum(a, b), -torch.minimum(a, b)).relu_()
    ends = (1 + a.abs().neg_().exp_()) * (1 + b.abs().neg_().exp_())
    return linear + (ends / (1 + (a + b).abs_().neg_().exp_())).log_()


def _edge_chunks(
    edges: SupervisedEdges, target_index: Int64[Tensor, " N"], pixels: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """(first, second, weight) of the edges of all N locations as indices into their flattened logits, in chunks."""
    starts = edges.start[target_index]
    counts = edges.start[target_index + 1] - starts
    listed = counts.tolist()
    low = 0
    while low < len(listed):
        high, size = low + 1, listed[low]
        while high < len(listed) and size + listed[high] <= EDGES_PER_CHUNK:
            size += listed[high]
            high += 1
        if size:
            count = counts[low:high]
            location = torch.arange(low, high, device=count.device).repeat_interleave(count, output_size=size)
            # The chunk's e-th edge is its location's (e - edges of the chunk's earlier locations)-th.
            skipped = starts[low:high] - count.cumsum(0) + count
            edge = torch.arange(size, device=count.device) + skipped.repeat_interleave(count, output_size=size)
            origin = location * pixels
            yield (
                edges.first.index_select(0, edge) + origin,
                edges.second.index_select(0, edge) + origin,
                edges.weight.index_select(0, edge),
            )
        low = high
