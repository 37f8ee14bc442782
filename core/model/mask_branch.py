"""Mask branch: stride-8 features shared by all instances of an image."""

from jaxtyping import Float
from torch import Tensor, nn

from core.aligned_upsample import aligned_upsample


def block(in_channels: int, channels: int) -> nn.Sequential:
    """3x3 convolution, batch norm over the local batch, ReLU."""
    convolution = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class MaskBranch(nn.Module):
    """CondInst (arXiv:2003.05664), section 3.2: P3, P4 and P5 refined, summed at stride 8, then a tower.

    The last convolution has neither norm nor ReLU.
    """

    def __init__(self, *, in_channels: int, channels: int, num_convs: int, out_channels: int) -> None:
        super().__init__()
        self.refine = nn.ModuleList(block(in_channels, channels) for _ in range(3))
        self.tower = nn.Sequential(*(block(channels, channels) for _ in range(num_convs)))
        self.output = nn.Conv2d(channels, out_channels, 1)

    def forward(self, levels: list[Float[Tensor, "B _ _ _"]]) -> Float[Tensor, "B C _ _"]:
        """Mask features from the pyramid levels; only P3, P4 and P5 are used."""
        p3, p4, p5 = (refine(level) for refine, level in zip(self.refine, levels[:3], strict=True))
        return self.output(self.tower(p3 + aligned_upsample(p4, 2) + aligned_upsample(p5, 4)))
