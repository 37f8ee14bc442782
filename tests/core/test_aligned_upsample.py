"""Aligned upsampling: its values, and its gradient, equal to the bit to that of a plain form."""

import pytest
import torch
from torch import Tensor

from core.aligned_upsample import aligned_upsample


def test_upsampling_a_row_by_two_and_by_four():
    row = torch.tensor([0.0, 4.0, 8.0]).reshape(1, 1, 1, 3)
    # output i samples input (i - 1)/2: -0.5, 0, 0.5, 1, 1.5, 2
    assert aligned_upsample(row, 2)[0, 0, 0].tolist() == [0, 0, 2, 4, 6, 8]
    # output i samples input (i - 2)/4: -0.5, -0.25, 0, 0.25, ..., 2, 2.25
    assert aligned_upsample(row, 4)[0, 0, 0].tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8]


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
def test_upsampling_equals_sampling_at_shifted_positions(factor):
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)

    def sample(values, dim):  # brute force along one axis
        size = values.shape[dim]
        outputs = []
        for i in range(size * factor):
            position = min(max((i - factor // 2) / factor, 0), size - 1)
            low = int(position)
            high = min(low + 1, size - 1)
            fraction = position - low
            outputs.append((1 - fraction) * values.select(dim, low) + fraction * values.select(dim, high))
        return torch.stack(outputs, dim)

    torch.testing.assert_close(aligned_upsample(maps, factor), sample(sample(maps, 2), 3))


def test_first_upsampled_rows_and_columns_are_exact_copies():
    up = aligned_upsample(torch.randn(1, 2, 5, 6), 4)
    assert torch.equal(up[:, :, 0], up[:, :, 1])
    assert torch.equal(up[:, :, 0], up[:, :, 2])
    assert torch.equal(up[..., 0], up[..., 2])


def test_upsampling_no_maps_and_one_cell():
    assert aligned_upsample(torch.zeros(0, 1, 3, 4), 2).shape == (0, 1, 6, 8)
    assert torch.equal(aligned_upsample(torch.full((1, 1, 1, 1), 7.0), 4), torch.full((1, 1, 4, 4), 7.0))


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_golden_upsampling_and_its_gradient(golden, factor):
    values = golden("g_aligned_bilinear")
    maps = torch.tensor(values["x"], requires_grad=True)
    up = aligned_upsample(maps, factor)
    torch.testing.assert_close(up, torch.tensor(values[f"y_factor{factor}"]), rtol=1e-6, atol=1e-6)
    (up * torch.tensor(values[f"grad_weighting_factor{factor}"])).sum().backward()
    torch.testing.assert_close(maps.grad, torch.tensor(values[f"grad_x_factor{factor}"]), rtol=1e-6, atol=1e-5)


def plain_upsample(maps: Tensor, factor: int) -> Tensor:
    """The same by `lerp` and `stack`, with torch's own backward pass."""
    half = factor // 2
    maps = maps.permute(0, 2, 3, 1)
    for dim in (1, 2):
        size = maps.shape[dim]
        before = torch.cat([maps.narrow(dim, 0, 1), maps.narrow(dim, 0, size - 1)], dim)
        after = torch.cat([maps.narrow(dim, 1, size - 1), maps.narrow(dim, size - 1, 1)], dim)
        steps = [torch.lerp(before, maps, 1 + (step - half) / factor) for step in range(half)]
        steps += [torch.lerp(maps, after, (step - half) / factor) for step in range(half, factor)]
        maps = torch.stack(steps, dim + 1).flatten(dim, dim + 1)
    return maps.permute(0, 3, 1, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("factor", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("shape", [(3, 1, 7, 9), (2, 5, 6, 4), (2, 3, 1, 5), (1, 2, 1, 1)], ids=str)
def test_values_and_gradient_equal_those_of_the_plain_form_to_the_bit(shape, factor, dtype):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(shape, generator=generator).to(dtype)
    weights = torch.randn(*shape[:2], shape[2] * factor, shape[3] * factor, generator=generator).to(dtype)
    for maps in (first, first.contiguous(memory_format=torch.channels_last)):
        values, gradients = [], []
        for upsample in (aligned_upsample, plain_upsample):
            leaf = maps.clone().requires_grad_()
            values.append(upsample(leaf, factor))
            values[-1].backward(weights)
            gradients.append(leaf.grad)
        assert torch.equal(*values)
        assert values[0].stride() == values[1].stride()
        assert torch.equal(*gradients)


def test_the_gradient_is_that_of_small_changes():
    maps = torch.randn(2, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda maps: aligned_upsample(maps, 4), maps)
