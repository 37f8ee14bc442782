import torch

from core.model.fpn import FeaturePyramid


def constant(value, channels, size):
    return torch.full((1, channels, size, size), float(value))


def test_sizes_of_five_levels_are_rounded_up():
    pyramid = FeaturePyramid(in_channels=(4, 6, 8), channels=5, num_levels=5)
    features = [torch.randn(2, c, h, w) for c, h, w in ((4, 12, 20), (6, 6, 10), (8, 3, 5))]
    assert [tuple(level.shape) for level in pyramid(features)] == [
        (2, 5, 12, 20), (2, 5, 6, 10), (2, 5, 3, 5), (2, 5, 2, 3), (2, 5, 1, 2),
    ]  # fmt: skip


def test_levels_sum_up_from_the_coarsest():
    pyramid = FeaturePyramid(in_channels=(1, 1, 1), channels=1, num_levels=3)
    for lateral, output in zip(pyramid.lateral, pyramid.output, strict=True):
        torch.nn.init.ones_(lateral.weight)
        torch.nn.init.zeros_(output.weight)
        output.weight.data[0, 0, 1, 1] = 1  # identity
    p3, p4, p5 = pyramid([constant(100, 1, 4), constant(10, 1, 2), constant(1, 1, 1)])
    assert p5.unique().tolist() == [1]
    assert p4.unique().tolist() == [11]
    assert p3.unique().tolist() == [111]


def test_p7_sees_only_what_is_positive_in_p6():
    pyramid = FeaturePyramid(in_channels=(1, 1, 1), channels=1, num_levels=5)
    for convolution in pyramid.extra:
        torch.nn.init.zeros_(convolution.weight)
        convolution.weight.data[0, 0, 1, 1] = 1
    torch.nn.init.constant_(pyramid.extra[0].bias, -50.0)
    *_, p6, p7 = pyramid([constant(0, 1, 16), constant(0, 1, 8), constant(0, 1, 4)])
    assert p6.unique().tolist() == [-50]
    assert p7.unique().tolist() == [0]


def test_padding_reaches_one_cell_into_a_level():
    pyramid = FeaturePyramid(in_channels=(4, 6, 8), channels=5, num_levels=3)
    for parameter in pyramid.parameters():
        torch.nn.init.normal_(parameter)
    features = [torch.randn(1, c, size, size) for c, size in ((4, 8), (6, 4), (8, 2))]
    padded = [torch.nn.functional.pad(feature, (0, feature.shape[3], 0, 0)) for feature in features]
    small, large = pyramid(features)[0], pyramid(padded)[0][..., :8]
    torch.testing.assert_close(large[..., :7], small[..., :7])
    assert not torch.allclose(large[..., 7], small[..., 7])  # its 3x3 window sees the biases of the padded cells
