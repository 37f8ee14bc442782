"""Modulated deformable convolution: a convolution whose sampling offsets and weights are predicted from features."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck
from torchvision.ops import deform_conv2d


class DeformableConvolution(nn.Conv2d):
    """Deformable ConvNets v2 (arXiv:1811.11168); replaces a convolution, whose weight and settings it takes over.

    `offset` predicts for each tap of the window its shift (y, x) and, through a sigmoid, its strength. As in
    detectron2, it is initialized to zero: no shift, and half of the output of the convolution.
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
        # Shifts in bfloat16 would be too coarse, and the kernel needs the same dtype for all inputs.
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
    """Make the 3x3 convolution of every `interval`-th bottleneck of a ResNet layer deformable, from the first on."""
    for block in layer[::interval]:
        assert isinstance(block, Bottleneck)  # validated by `BackboneConfig`
        block.conv2 = DeformableConvolution(block.conv2)
