import torch
from torch import nn

from core.model.frozen_norm import FrozenBatchNorm, freeze_norms


def trained_norm(channels=3):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean):
        tensor.normal_()
    norm.running_var.uniform_(0.5, 2.0)
    return norm


def test_a_frozen_norm_equals_the_trained_one_in_eval_mode():
    norm, x = trained_norm(), torch.randn(2, 3, 4, 5)
    expected = norm.eval()(x)
    block = nn.Sequential(norm)
    freeze_norms(block, trained_too=True)
    torch.testing.assert_close(block.train()(x), expected)


def test_a_frozen_norm_has_no_parameters_and_keeps_its_statistics_in_training():
    block = nn.Sequential(nn.Sequential(trained_norm()))
    freeze_norms(block, trained_too=True)
    before = block[0][0].running_mean.clone()
    block.train()(torch.randn(2, 3, 4, 5) + 9)
    assert list(block.parameters()) == []
    assert torch.equal(block[0][0].running_mean, before)


def test_without_trained_too_only_norms_without_gradient_are_frozen():
    block = nn.Sequential(trained_norm().requires_grad_(False), trained_norm())
    freeze_norms(block, trained_too=False)
    assert isinstance(block[0], FrozenBatchNorm)
    assert isinstance(block[1], nn.BatchNorm2d)


def test_bfloat16_stays_bfloat16():
    assert FrozenBatchNorm(3)(torch.randn(1, 3, 2, 2).bfloat16()).dtype == torch.bfloat16
