import torch

from core.aligned_upsample import aligned_upsample
from core.model.mask_branch import MaskBranch


def make(num_convs=1):
    torch.manual_seed(0)
    return MaskBranch(in_channels=4, channels=6, num_convs=num_convs, out_channels=3)


def levels():
    return [torch.randn(2, 4, 4, 8), torch.randn(2, 4, 2, 4), torch.randn(2, 4, 1, 2), torch.randn(2, 4, 1, 1)]


def test_features_have_the_size_of_p3():
    assert make()(levels()).shape == (2, 3, 4, 8)


def test_levels_are_summed_at_stride_8():
    branch, maps = make(num_convs=0), levels()
    p3, p4, p5 = (refine(level) for refine, level in zip(branch.refine, maps[:3], strict=True))
    expected = branch.output(p3 + aligned_upsample(p4, 2) + aligned_upsample(p5, 4))
    torch.testing.assert_close(branch(maps), expected)


def test_convolutions_before_a_norm_have_no_bias():
    assert [name for name, _ in make().named_parameters() if name.endswith("0.bias")] == []
    assert make().output.bias is not None


def test_the_norm_learns_its_statistics_from_the_batch():
    branch = make()
    before = branch.tower[0][1].running_mean.clone()
    branch(levels())
    assert not torch.equal(branch.tower[0][1].running_mean, before)
    branch.eval()
    before = branch.tower[0][1].running_mean.clone()
    branch(levels())
    assert torch.equal(branch.tower[0][1].running_mean, before)
