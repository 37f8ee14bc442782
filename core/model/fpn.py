"""Feature pyramid: maps with the same number of channels at strides 8, 16, 32 and optionally 64 and 128."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class FeaturePyramid(nn.Module):
    """FPN (arXiv:1612.03144) without norms; P6 and P7 as in RetinaNet, but with P6 computed from P5 (FCOS).

    `in_channels` are those of C3, C4 and C5. P6 and P7 have ceil(half) the size of the level below.
    """

    def __init__(self, *, in_channels: tuple[int, ...], channels: int, num_levels: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in in_channels)
        self.output = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels)
        self.extra = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(num_levels - len(in_channels))
        )
        for convolution in (*self.lateral, *self.output, *self.extra):
            nn.init.kaiming_uniform_(convolution.weight, a=1)
            nn.init.zeros_(convolution.bias)

    def forward(self, features: list[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B C _ _"]]:
        merged = [self.lateral[-1](features[-1])]
        for lateral, feature in zip(reversed(self.lateral[:-1]), reversed(features[:-1]), strict=True):
            merged.append(lateral(feature) + functional.interpolate(merged[-1], scale_factor=2, mode="nearest"))
        levels = [output(level) for output, level in zip(self.output, reversed(merged), strict=True)]
        for i, convolution in enumerate(self.extra):
            levels.append(convolution(levels[-1] if i == 0 else functional.relu(levels[-1])))
        return levels
