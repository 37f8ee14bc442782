import pytest
import torch
from torch import nn
from torch.nn import functional

from core.model.backbone import build_backbone
from core.model.deformable import DeformableConvolution


def plain(stride: int = 1) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(2, 3, 3, stride=stride, padding=1, bias=False)


def image() -> torch.Tensor:
    return torch.randn(1, 2, 6, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stride", [1, 2])
def test_it_starts_as_half_of_the_convolution_whose_place_it_takes(stride: int) -> None:
    convolution = plain(stride)
    torch.testing.assert_close(DeformableConvolution(convolution)(image()), convolution(image()) / 2)


def test_shifted_taps_see_the_shifted_image() -> None:
    deformable = DeformableConvolution(plain())
    with torch.no_grad():
        deformable.offset.bias[0:18:2] = 1  # y of each of the 9 taps
        deformable.offset.bias[1:18:2] = -2  # x
        deformable.offset.bias[18:] = 30  # strength 1
    # A tap one row below and two columns to the left sees what the same tap sees in the image moved up and right; but
    # at its upper and right border, what was moved out.
    moved = functional.pad(image(), (2, -2, -1, 1))
    torch.testing.assert_close(deformable(image())[..., 1:, :7], plain()(moved)[..., 1:, :7])


def test_half_a_pixel_of_shift_is_the_mean_of_two_pixels() -> None:
    deformable = DeformableConvolution(plain())
    with torch.no_grad():
        deformable.offset.bias[1:18:2] = 0.5
        deformable.offset.bias[18:] = 30
    between = (image() + functional.pad(image(), (-1, 1))) / 2
    # Left of the image, the plain convolution's padding is 0, while the shifted tap sees half of the first column.
    torch.testing.assert_close(deformable(image())[..., 1:], plain()(between)[..., 1:])


def test_offsets_learn_and_bfloat16_keeps_its_dtype() -> None:
    deformable = DeformableConvolution(plain())
    with torch.autocast("cpu", torch.bfloat16):
        output = deformable(image().bfloat16())
    assert output.dtype == torch.bfloat16
    deformable(image()).square().sum().backward()
    assert deformable.offset.weight.grad.any()
    assert deformable.weight.grad.any()


@pytest.mark.parametrize(("interval", "blocks"), [
    (1, [[], [0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [0, 1, 2]]), (3, [[], [0, 3], [0, 3], [0]]),
])  # fmt: skip
def test_every_nth_bottleneck_from_res3_on_is_deformable_and_keeps_the_weights_of_the_file(tmp_path, interval, blocks):
    settings = {"name": "resnet50", "norm": "frozen", "frozen_stages": 3, "stride_in_1x1": True}
    with torch.device("meta"):
        names = build_backbone(weights=None, **settings).state_dict()
    tensors = {name: torch.full((), 0.5).expand(tensor.shape) for name, tensor in names.items()}
    torch.save(tensors, tmp_path / "half.pth")
    backbone = build_backbone(weights=str(tmp_path / "half.pth"), deformable_interval=interval, **settings)
    layers = [backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]
    found = [[i for i, block in enumerate(layer) if isinstance(block.conv2, DeformableConvolution)] for layer in layers]
    assert found == blocks
    assert (backbone.layer2[0].conv2.weight == 0.5).all()
    assert not backbone.layer2[0].conv2.offset.weight.requires_grad  # res3 is the third frozen stage
    assert backbone.layer3[0].conv2.offset.weight.requires_grad
