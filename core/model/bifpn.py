"""BiFPN: a feature pyramid whose levels are fused top-down and bottom-up, several times, with learned weights."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

WEIGHT_FLOOR = 1e-4  # avoids division by zero if all weights are zero


class Fusion(nn.Module):
    """Fast normalized fusion (arXiv:1911.09070, section 3.3): a weighted mean of maps, then swish, 3x3, norm.

    The share of each map is its weight, clamped at 0, divided by the sum of all.
    """

    def __init__(self, *, channels: int, num_maps: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(num_maps))
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.kaiming_uniform_(self.convolution.weight, a=1)

    def forward(self, *maps: Float[Tensor, "B C i j"]) -> Float[Tensor, "B C i j"]:
        weights = functional.relu(self.weights)
        shares = weights / (weights.sum() + WEIGHT_FLOOR)
        mean = sum(share * one for share, one in zip(shares.unbind(), maps, strict=True))
        return self.norm(self.convolution(functional.silu(mean)))


class Repeat(nn.Module):
    """One repeat: top-down, every level but the coarsest is fused with the level above; then bottom-up, likewise.

    Bottom-up, every level but P3 is fused from its input, its top-down map (which the coarsest has not) and the level
    below.
    """

    def __init__(self, *, channels: int, num_levels: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(Fusion(channels=channels, num_maps=2) for _ in range(num_levels - 1))
        self.up = nn.ModuleList(
            Fusion(channels=channels, num_maps=3 if level < num_levels - 1 else 2) for level in range(1, num_levels)
        )

    def forward(self, levels: list[Float[Tensor, "B C _ _"]]) -> list[Float[Tensor, "B C _ _"]]:
        middle = [levels[-1]]
        for fusion, level in zip(reversed(self.down), reversed(levels[:-1]), strict=True):
            above = functional.interpolate(middle[0], size=level.shape[2:], mode="nearest")
            middle.insert(0, fusion(level, above))
        merged = [middle[0]]
        for fusion, level, came_down in zip(self.up[:-1], levels[1:-1], middle[1:-1], strict=True):
            merged.append(fusion(level, came_down, halve(merged[-1])))
        return [*merged, self.up[-1](levels[-1], halve(merged[-1]))]


class BiFeaturePyramid(nn.Module):
    """BiFPN (arXiv:1911.09070) over C3, C4 and C5, with channels `in_channels`, and coarser levels computed from C5.

    P6 is C5, projected to the channels of the pyramid and max-pooled with stride 2; P7 is P6 pooled again. Each level
    has ceil(half) the size of the one below. Batch norms are trained; AdelaiDet synchronizes them between devices.
    """

    def __init__(self, *, in_channels: tuple[int, ...], channels: int, num_levels: int, repeats: int) -> None:
        super().__init__()
        self.num_coarser = num_levels - len(in_channels)
        self.lateral = nn.ModuleList(projection(width, channels, bias=True) for width in in_channels)
        self.coarser = projection(in_channels[-1], channels, bias=False) if self.num_coarser else None
        self.repeats = nn.ModuleList(Repeat(channels=channels, num_levels=num_levels) for _ in range(repeats))

    def forward(self, features: list[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B C _ _"]]:
        levels = [lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True)]
        for i in range(self.num_coarser):
            levels.append(halve(levels[-1] if i else self.coarser(features[-1])))
        for repeat in self.repeats:
            levels = repeat(levels)
        return levels


def projection(in_channels: int, channels: int, *, bias: bool) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, channels, 1, bias=bias)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


def halve(maps: Float[Tensor, "B C i j"]) -> Float[Tensor, "B C i2 j2"]:
    """3x3 max pooling with stride 2."""
    return functional.max_pool2d(maps, 3, stride=2, padding=1)
