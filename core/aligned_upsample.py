"""CondInst's aligned upsampling of maps, with a backward pass of its own."""

from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def aligned_upsample(maps: Float[Tensor, "n c i j"], factor: int) -> Float[Tensor, "n c i2 j2"]:
    """Enlarge by `factor` so that output index i samples input index `(i - factor//2) / factor`, clamped at the edges.

    This is AdelaiDet's `aligned_bilinear` for CondInst. It equals neither `align_corners` mode of `interpolate`: the
    first factor//2 + 1 output rows and columns copy the first input row and column, so column maxima tie there.
    """
    # Channels last, as the maps are laid out here; padding and torch's interpolate would take ten times as long.
    return _AlignedUpsample.apply(maps.permute(0, 2, 3, 1), factor).permute(0, 3, 1, 2)


class _AlignedUpsample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, maps: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return upsample_axis(upsample_axis(maps, factor, dim=1), factor, dim=2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _gathered(_gathered(gradient, ctx.factor, dim=2), ctx.factor, dim=1), None


def upsample_axis(maps: Float[Tensor, "n i j c"], factor: int, dim: int) -> Float[Tensor, "n i2 j2 c"]:
    """Enlarge one axis, `dim` 1 or 2, of maps laid out channels last, as in `aligned_upsample`; without gradient."""
    size, half = maps.shape[dim], factor // 2
    shape = list(maps.shape)
    shape[dim] = size * factor
    enlarged = maps.new_empty(shape)
    cells = enlarged.unflatten(dim, (size, factor))
    cell, next_cell = maps.narrow(dim, 0, size - 1), maps.narrow(dim, 1, size - 1)
    # The `factor` outputs of cell k sample the input at k - half/factor, ..., k, ..., k + (factor - half - 1)/factor.
    for step in range(factor):
        sampled = cells.select(dim + 1, step)
        if step == half:
            sampled.copy_(maps)
            continue
        edge, first = (0, 1) if step < half else (size - 1, 0)
        sampled.narrow(dim, edge, 1).copy_(maps.narrow(dim, edge, 1))
        torch.lerp(cell, next_cell, (step - half) / factor % 1, out=sampled.narrow(dim, first, size - 1))
    return enlarged


def _gathered(gradient: Float[Tensor, "n i2 j2 c"], factor: int, dim: int) -> Float[Tensor, "n i j c"]:
    """The gradient of the input of `upsample_axis`.

    In the order of summation of torch's own backward pass through `lerp`, so equal to it to the bit.
    """
    size, half = gradient.shape[dim] // factor, factor // 2
    of_step = gradient.unflatten(dim, (size, factor)).unbind(dim + 1)
    share = [(step - half) / factor for step in range(factor)]  # of the next cell; negative: of the previous one
    last_first = range(factor - 1, -1, -1)
    own = reduce(torch.add, (of_step[step] * (1 - abs(share[step])) for step in last_first))
    if factor - half > 1:
        of_next = reduce(torch.add, (of_step[step] * share[step] for step in last_first if step > half))
        own.narrow(dim, size - 1, 1).add_(of_next.narrow(dim, size - 1, 1))
        own.narrow(dim, 1, size - 1).add_(of_next.narrow(dim, 0, size - 1))
    if half:
        of_previous = reduce(torch.add, (of_step[step] * -share[step] for step in last_first if step < half))
        own.narrow(dim, 0, size - 1).add_(of_previous.narrow(dim, 1, size - 1))
        own.narrow(dim, 0, 1).add_(of_previous.narrow(dim, 0, 1))
    return own
