"""The pairwise term: whether neighboring pixels have the same label, computed only for supervised edges."""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.function import once_differentiable

from core.structures import SupervisedEdges

# Bounds the memory. On a CPU small chunks that fit into the cache are fastest, on a GPU few large ones.
EDGES_PER_CHUNK = 2**15
EDGES_PER_CHUNK_ON_GPU = 2**22


def pairwise_loss(
    mask_logits: Float[Tensor, "N h w"], edges: SupervisedEdges, target_index: Int64[Tensor, " N"]
) -> tuple[Float[Tensor, ""], Int64[Tensor, ""]]:
    """Sum the negative log-probability that the two pixels of an edge have the same label, and count the edges.

    BoxInst (arXiv:2012.02310), equations 4 and 8: with mask probabilities p and q at the two ends,
    -log(pq + (1-p)(1-q)), computed from logits and accurate for large ones. If `edges.same` is false, it is
    -log(p(1-q) + (1-p)q), the other part of equation 5. `target_index` is the instance of each location, among the T
    of `edges`; sum and count are weighted and run over the edges of all N locations.

    Without counted edges, or with N = 0, the sum is 0 and still has a gradient. Reproducible to the bit on the CPU; on
    CUDA the order of the sums in the gradient varies.
    """
    return _NegativeLogSame.apply(mask_logits.contiguous(), edges, target_index), edges.counted[target_index].sum()


class _NegativeLogSame(torch.autograd.Function):
    """Weighted sum of -log P(same label), or -log P(different label), over the edges of all locations.

    Negating a logit swaps the two labels, so an edge between different labels is computed as one between equal labels
    with the second logit negated.

    Saves only the logits for the backward pass and processes the edges in chunks: besides the list of edges and the
    gradient, only one chunk is in memory.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, edges: SupervisedEdges, target_index: Tensor) -> Tensor:
        ctx.save_for_backward(logits, target_index)
        ctx.edges = edges
        ctx.runs = _runs_of(edges, target_index)
        flat, total = logits.flatten(), logits.new_zeros(())
        for first, second, weight, sign in _edge_chunks(edges, target_index, logits, ctx.runs):
            a, b = flat.index_select(0, first), flat.index_select(0, second)
            total += (weight * negative_log_same(a, b if sign is None else b * sign)).sum()
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor, None, None]:
        logits, target_index = ctx.saved_tensors
        flat, gradient = logits.flatten(), torch.zeros_like(logits)
        flat_gradient = gradient.view(-1)
        for first, second, weight, sign in _edge_chunks(ctx.edges, target_index, logits, ctx.runs):
            a, b = flat.index_select(0, first), flat.index_select(0, second)
            b = b if sign is None else b * sign
            weight = weight * grad_output
            both = (a + b).sigmoid_()
            flat_gradient.scatter_add_(0, first, a.sigmoid_().sub_(both).mul_(weight))
            weight = weight if sign is None else weight * sign
            flat_gradient.scatter_add_(0, second, b.sigmoid_().sub_(both).mul_(weight))
        return gradient, None, None


def negative_log_same(a: Float[Tensor, "*n"], b: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """-log P(same label) of two pixels from their logits: softplus(a) + softplus(b) - softplus(a + b).

    Rewritten to avoid cancellation for large logits: softplus(x) = relu(x) + log(1 + exp(-|x|)), and the three relu
    sum to min(|a|, |b|) if the signs differ, else 0.
    """
    linear = torch.minimum(torch.maximum(a, b), -torch.minimum(a, b)).relu_()
    ends = (1 + a.abs().neg_().exp_()) * (1 + b.abs().neg_().exp_())
    return linear + (ends / (1 + (a + b).abs_().neg_().exp_())).log_()


def _edge_chunks(
    edges: SupervisedEdges,
    target_index: Int64[Tensor, " N"],
    logits: Float[Tensor, "N h w"],
    runs: list[tuple[int, int, int]],
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor | None]]:
    """Iterate over the edges of all N locations: indices of both ends in the flat logits, weight, sign (`same`)."""
    cells = logits.shape[1] * logits.shape[2]
    start = edges.start[target_index]
    count = edges.start[target_index + 1] - start
    skipped = start - (count.cumsum(0) - count)  # from the index among the edges of all N to the index in `edges`
    origin = torch.arange(len(count), device=logits.device) * cells
    done = 0
    for low, high, size in runs:
        repeats = count[low:high]
        edge = torch.arange(done, done + size, device=logits.device)
        edge += skipped[low:high].repeat_interleave(repeats, output_size=size)
        offset = origin[low:high].repeat_interleave(repeats, output_size=size)
        first, second = edges.first.index_select(0, edge), edges.second.index_select(0, edge)
        sign = None if edges.same is None else edges.same.index_select(0, edge).to(logits.dtype) * 2 - 1
        yield first + offset, second + offset, edges.weight.index_select(0, edge).to(logits.dtype), sign
        done += size


def _runs_of(edges: SupervisedEdges, target_index: Int64[Tensor, " N"]) -> list[tuple[int, int, int]]:
    """The runs of locations whose edges are processed together; the host waits for their numbers, once a step."""
    most = EDGES_PER_CHUNK_ON_GPU if target_index.is_cuda else EDGES_PER_CHUNK
    return list(_runs((edges.start[target_index + 1] - edges.start[target_index]).tolist(), most))


def _runs(counts: list[int], most: int) -> Iterator[tuple[int, int, int]]:
    """Split the locations into runs of at most `most` edges (or one location): low, end, edges."""
    low, size = 0, 0
    for high, count in enumerate(counts):
        if size and size + count > most:
            yield low, high, size
            low, size = high, 0
        size += count
    if size:
        yield low, len(counts), size
