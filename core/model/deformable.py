"""Modulated deformable convolution: a 3x3 convolution that looks where, and as strongly, as the features tell it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck
from torchvision.ops import deform_conv2d


class DeformableConvolution(nn.Conv2d):
    """Deformable ConvNets v2 (arXiv:1811.11168), in the place of a convolution whose weight and settings it takes.

    `offset` writes, for each tap of the window, its shift (y, x) and, through a sigmoid, its strength. As in
    detectron2 it starts from zero: no shift, and half of the convolution's output.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        settings = {
            "kernel_size": convolution.kernel_size,
            "stride": convolution.stride,
            "padding": convolution.padding,
            "dilation": convolution.dilation,
        }
        super().__init__(convolution.in_channels, convolution.out_channels, **settings, bias=False)
        self.weight = convolution.weight
        self.taps = convolution.kernel_size[0] * convolution.kernel_size[1]
        self.offset = nn.Conv2d(convolution.in_channels, 3 * self.taps, **settings)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, x: Float[Tensor, "B C i j"]) -> Float[Tensor, "B C2 i2 j2"]:
        # Shifts in bfloat16 would be coarse, and the kernel wants one dtype for all that it reads.
        with torch.autocast(x.device.type, enabled=False):
            inputs = x.to(self.weight.dtype)
            offset, strength = self.offset(inputs).split([2 * self.taps, self.taps], dim=1)
            output = deform_conv2d(
                inputs,
                offset,
                self.weight,
                stride=self.stride,
                padding=self.padding,
                dilation=self.dilation,
                mask=strength.sigmoid(),
            )
            return output.to(x.dtype)


def make_deformable(layer: nn.Sequential, interval: int) -> None:
    """Give every `interval`-th bottleneck of a ResNet's layer, from the first on, a deformable 3x3 convolution."""
    for block in layer[::interval]:
        assert isinstance(block, Bottleneck)  # `BackboneConfig` sees to it
        block.conv2 = DeformableConvolution(block.conv2)
