import pytest
import torch
from torch.nn import functional

from core.model.controller import Controller

SIZES = [(4, 5), (2, 3), (1, 1)]  # 20 + 6 + 1 locations


def make(num_images=2, channels=3):
    torch.manual_seed(0)
    controller = Controller(channels=channels, num_dynamic_params=7).double()
    torch.nn.init.normal_(controller.bias)
    levels = [torch.randn(num_images, channels, *size, dtype=torch.float64, requires_grad=True) for size in SIZES]
    return controller, levels


def dense(controller, levels):
    maps = [functional.conv2d(level, controller.weight, controller.bias, padding=1) for level in levels]
    return torch.cat([m.flatten(2).transpose(1, 2) for m in maps], dim=1)  # B P D


def test_every_location_borders_included_equals_the_dense_convolution():
    controller, levels = make()
    image_index, location_index = torch.arange(2).repeat_interleave(27), torch.arange(27).repeat(2)
    sparse = controller(levels, image_index, location_index)
    torch.testing.assert_close(sparse, dense(controller, levels).flatten(0, 1))


def test_gradients_equal_those_of_the_dense_convolution():
    controller, levels = make()
    image_index = torch.tensor([1, 0, 0, 1, 1, 0])
    location_index = torch.tensor([0, 4, 12, 25, 26, 12])  # corners, the middle, the smallest level; one of them twice
    weighting = torch.randn(6, 7, dtype=torch.float64)
    leaves = [controller.weight, controller.bias, *levels]
    sparse = controller(levels, image_index, location_index)
    expected = dense(controller, levels)[image_index, location_index]
    for found, wanted in zip(
        torch.autograd.grad((sparse * weighting).sum(), leaves),
        torch.autograd.grad((expected * weighting).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


def test_weights_load_from_a_convolution():
    convolution = torch.nn.Conv2d(3, 7, 3, padding=1)
    controller = Controller(channels=3, num_dynamic_params=7)
    controller.load_state_dict(convolution.state_dict())
    assert torch.equal(controller.weight, convolution.weight)


def test_no_locations_give_zero_gradients():
    controller, levels = make()
    none = torch.zeros(0, dtype=torch.int64)
    params = controller(levels, none, none)
    assert params.shape == (0, 7)
    params.sum().backward()
    assert torch.equal(controller.weight.grad, torch.zeros_like(controller.weight))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_bfloat16_features_give_float32_parameters(memory_format):
    controller, levels = make()
    controller.float()
    levels = [level.detach().bfloat16().contiguous(memory_format=memory_format) for level in levels]
    with torch.autocast("cpu", torch.bfloat16):
        params = controller(levels, torch.tensor([1]), torch.tensor([7]))
    torch.testing.assert_close(params[0], dense(controller, [level.float() for level in levels])[1, 7])
    assert params.dtype == torch.float32
