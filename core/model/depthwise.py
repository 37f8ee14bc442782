"""Run depthwise convolutions without autocast, because their bfloat16 kernels are slow."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Float32Convolution(nn.Module):
    """A convolution in float32, also under autocast; returns the dtype of its input."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, x: Float[Tensor, "B C i j"]) -> Float[Tensor, "B C2 i2 j2"]:
        with torch.autocast(x.device.type, enabled=False):
            return self.convolution(x.float()).to(x.dtype)


def keep_depthwise_in_float32(module: nn.Module) -> None:
    """Wrap all depthwise convolutions inside `module`.

    In the backward pass, oneDNN's bfloat16 kernels for stride 2 and for 5x5 windows take 5 to 80 times as long as its
    float32 kernels, which doubles the training step of an EfficientNet.
    """
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d) and child.groups == child.in_channels > 1:
            setattr(module, name, Float32Convolution(child))
        else:
            keep_depthwise_in_float32(child)
