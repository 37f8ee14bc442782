import torch
from torch import nn

from core.model.depthwise import Float32Convolution, keep_depthwise_in_float32


def test_only_depthwise_convolutions_are_wrapped():
    block = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Sequential(nn.Conv2d(4, 8, 3, groups=4)))
    keep_depthwise_in_float32(block)
    assert [isinstance(layer, Float32Convolution) for layer in (block[0], block[1], block[2][0])] == [False, True, True]


def test_float32_arithmetic_under_autocast():
    convolution = nn.Conv2d(4, 4, 3, groups=4)
    x = torch.randn(1, 4, 5, 5).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = Float32Convolution(convolution)(x)
    assert torch.equal(found, convolution(x.float()).bfloat16())
