import math

import pytest
import torch
from torch import nn

from core.model.bifpn import BiFeaturePyramid, Fusion, Repeat, halve


def pass_through(module: nn.Module) -> nn.Module:
    """Convolutions of one channel that change nothing, norms at rest."""
    for convolution in module.modules():
        if isinstance(convolution, nn.Conv2d):
            nn.init.zeros_(convolution.weight)
            convolution.weight.data[0, 0, convolution.kernel_size[0] // 2, convolution.kernel_size[1] // 2] = 1
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
    return module.eval()


def constant(value: float, size: int = 2) -> torch.Tensor:
    return torch.full((1, 1, size, size), float(value))


def swish(value: float) -> float:
    return value / (1 + math.exp(-value)) / math.sqrt(1 + 1e-5)  # and a norm of variance 1


def merged(*values: float) -> float:
    """What a fusion of weights 1 makes of constant maps."""
    return swish(sum(values) / (len(values) + 1e-4))


def test_a_fusion_is_the_weighted_mean_then_swish() -> None:
    fusion = pass_through(Fusion(channels=1, num_maps=3))
    fusion.weights.data = torch.tensor([3.0, 1.0, -2.0])  # the third, negative, has no share
    mean = (3 * 8 + 1 * 4) / (4 + 1e-4)
    assert fusion(constant(8), constant(4), constant(100)).unique().item() == pytest.approx(swish(mean), rel=1e-6)


def test_a_fusion_without_positive_weight_is_zero_not_nan() -> None:
    fusion = pass_through(Fusion(channels=1, num_maps=2))
    nn.init.constant_(fusion.weights, -1)
    assert fusion(constant(8), constant(4)).unique().tolist() == [0]


def test_levels_are_merged_down_and_then_up() -> None:
    repeat = pass_through(Repeat(channels=1, num_levels=4))
    a, b, c, d = 1.0, 2.0, 3.0, 4.0
    levels = repeat([constant(a, 8), constant(b, 4), constant(c, 2), constant(d, 1)])
    c_down = merged(c, d)
    b_down = merged(b, c_down)
    a_out = merged(a, b_down)
    b_out = merged(b, b_down, a_out)
    c_out = merged(c, c_down, b_out)
    d_out = merged(d, c_out)
    assert [level.shape[2] for level in levels] == [8, 4, 2, 1]
    assert [level.unique().item() for level in levels] == pytest.approx([a_out, b_out, c_out, d_out], rel=1e-6)


def test_halving_takes_the_largest_of_three_by_three() -> None:
    maps = torch.arange(25.0).reshape(1, 1, 5, 5)
    assert halve(maps)[0, 0].tolist() == [[6, 8, 9], [16, 18, 19], [21, 23, 24]]


def test_coarser_levels_come_from_c5_and_sizes_are_rounded_up() -> None:
    pyramid = BiFeaturePyramid(in_channels=(4, 6, 8), channels=5, num_levels=5, repeats=2)
    features = [torch.randn(2, c, h, w) for c, h, w in ((4, 12, 20), (6, 6, 10), (8, 3, 5))]
    assert [tuple(level.shape) for level in pyramid(features)] == [
        (2, 5, 12, 20), (2, 5, 6, 10), (2, 5, 3, 5), (2, 5, 2, 3), (2, 5, 1, 2),
    ]  # fmt: skip
    p6 = pass_through(BiFeaturePyramid(in_channels=(1, 1, 1), channels=1, num_levels=5, repeats=1))
    assert p6.coarser(constant(3)).unique().item() == pytest.approx(3, rel=1e-4)


def test_three_levels_need_no_coarser_ones_and_all_parameters_learn() -> None:
    pyramid = BiFeaturePyramid(in_channels=(4, 6, 8), channels=5, num_levels=3, repeats=2)
    assert pyramid.coarser is None
    features = [torch.randn(2, c, h, w) for c, h, w in ((4, 8, 8), (6, 4, 4), (8, 2, 2))]
    sum((level * torch.randn_like(level)).sum() for level in pyramid(features)).backward()
    # A bias before a norm changes nothing: its gradient is 0 up to rounding.
    learned = [name for name, p in pyramid.named_parameters() if p.grad is not None and p.grad.abs().max() > 1e-6]
    assert {name for name, _ in pyramid.named_parameters()} - set(learned) <= {f"lateral.{i}.0.bias" for i in range(3)}
