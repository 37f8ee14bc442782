import pytest
import torch

from core.aligned_upsample import aligned_upsample
from core.model.mask_head import MaskHead

GOLDEN_HEADS = [("condinst_169", 8), ("boxinst_233", 16)]


def head_of(feature_channels: int) -> MaskHead:
    return MaskHead(feature_channels=feature_channels, channels=8, num_layers=3)


def random_inputs(num_images=3, num_instances=7, channels=8, dtype=torch.float64):
    torch.manual_seed(0)
    return {
        "mask_features": torch.randn(num_images, channels, 5, 6, dtype=dtype),
        "dynamic_params": torch.randn(num_instances, head_of(channels).num_dynamic_params, dtype=dtype),
        "image_index": torch.randint(num_images, (num_instances,)),
        "locations": torch.rand(num_instances, 2, dtype=dtype) * 48,
        "coordinate_scale": torch.tensor([64.0, 128.0], dtype=dtype)[torch.arange(num_instances) % 2],
    }


def test_parameter_counts_of_condinst_and_boxinst():
    # (2 + C)*8 + 8*8 + 8*1 weights, 8 + 8 + 1 biases
    assert head_of(8).num_dynamic_params == 80 + 64 + 8 + 17 == 169
    assert head_of(16).num_dynamic_params == 144 + 64 + 8 + 17 == 233


def test_one_layer_maps_coordinates_and_features_straight_to_logits():
    head = MaskHead(feature_channels=1, channels=8, num_layers=1)
    # weights for x, y, feature; bias. Cells lie at 4 and 12; the location is (4, 12), its scale 8.
    logits = head(
        mask_features=torch.tensor([[[[10.0, 20.0]]]]),
        dynamic_params=torch.tensor([[1.0, 100.0, 0.5, 7.0]]),
        image_index=torch.tensor([0]),
        locations=torch.tensor([[4.0, 12.0]]),
        coordinate_scale=torch.tensor([8.0]),
    )
    # left cell: x = (4 - 4)/8, y = (12 - 4)/8: 0 + 100 + 5 + 7; right cell: x = (4 - 12)/8: -1 + 100 + 10 + 7
    assert logits[0, 0].tolist() == [112, 112, 114, 116]  # upsampled by two: cells at 1 and 3, the middle between
    assert logits.shape == (1, 2, 4)


def test_logits_equal_a_network_per_instance_on_explicit_relative_coordinates():
    inputs = random_inputs()
    head = head_of(8)
    weights, biases = head.split(inputs["dynamic_params"])
    y, x = torch.meshgrid(torch.arange(5) * 8 + 4.0, torch.arange(6) * 8 + 4.0, indexing="ij")
    expected = []
    for n, image in enumerate(inputs["image_index"]):
        cells = torch.stack([x, y]).double()
        relative = (inputs["locations"][n, :, None, None] - cells) / inputs["coordinate_scale"][n]
        maps = torch.cat([relative, inputs["mask_features"][image]]).flatten(1)
        for layer in range(3):
            maps = weights[layer][n] @ maps + biases[layer][n]
            maps = maps.relu() if layer < 2 else maps
        expected.append(maps.reshape(1, 5, 6))
    torch.testing.assert_close(head(**inputs), aligned_upsample(torch.stack(expected), 2)[:, 0])


def test_order_of_instances_does_not_matter():
    inputs = random_inputs()
    order = torch.randperm(7)
    shuffled = {key: value if key == "mask_features" else value[order] for key, value in inputs.items()}
    torch.testing.assert_close(head_of(8)(**shuffled), head_of(8)(**inputs)[order])


def test_no_instances_give_no_logits_and_zero_gradients():
    inputs = random_inputs(num_instances=0)
    for key in ("mask_features", "dynamic_params"):
        inputs[key].requires_grad_()
    logits = head_of(8)(**inputs)
    assert logits.shape == (0, 10, 12)
    logits.sum().backward()
    assert torch.equal(inputs["mask_features"].grad, torch.zeros_like(inputs["mask_features"]))


def test_an_image_without_instances_is_skipped():
    inputs = random_inputs(num_images=3)
    inputs["image_index"] = torch.tensor([0, 2, 0, 2, 2, 0, 0])
    inputs["mask_features"].requires_grad_()
    head_of(8)(**inputs).sum().backward()
    assert not inputs["mask_features"].grad[1].any()
    assert inputs["mask_features"].grad[2].any()


def test_arithmetic_stays_float32_under_autocast():
    inputs = random_inputs(dtype=torch.float32)
    expected = head_of(8)(**inputs)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head_of(8)(**inputs), expected, rtol=0, atol=0)


def test_a_wrong_number_of_parameters_is_refused():
    with pytest.raises(ValueError, match="got 233 dynamic parameters, expected 169"):
        head_of(8).split(torch.zeros(1, 233))


@pytest.mark.parametrize(("name", "channels"), GOLDEN_HEADS)
def test_golden_parameter_split(golden, name, channels):
    values = golden(f"f_param_split_{name}")
    weights, biases = head_of(channels).split(torch.tensor(values["params"]))
    for layer in range(3):
        assert torch.equal(weights[layer].flatten(), torch.tensor(values[f"w{layer}"]).flatten())
        assert torch.equal(biases[layer].flatten(), torch.tensor(values[f"b{layer}"]).flatten())


@pytest.mark.parametrize(("dtype", "suffix"), [(torch.float32, ""), (torch.float64, "_f64")])
@pytest.mark.parametrize(("name", "channels"), GOLDEN_HEADS)
def test_golden_logits_and_gradients(golden, name, channels, dtype, suffix):
    values = {key: torch.tensor(value) for key, value in golden(f"e_dynamic_head_{name}").items()}
    features = values["mask_feats"].to(dtype).requires_grad_()
    params = values["params"].to(dtype).requires_grad_()
    logits = head_of(channels)(
        mask_features=features,
        dynamic_params=params,
        image_index=values["im_inds"],
        locations=values["locations"].to(dtype),
        coordinate_scale=values["sizes_of_interest"][values["fpn_levels"]].to(dtype),
    )
    (logits * values["grad_weighting"][:, 0].to(dtype)).sum().backward()

    tolerance = {"rtol": 0, "atol": 5e-6 if dtype == torch.float32 else 1e-12}
    expected = values[f"logits_stride4{suffix}"][:, 0]
    scale = expected.abs().max().clamp(min=8) / 8  # rounding goes by the largest logit; some 5 are recorded
    torch.testing.assert_close(logits / scale, expected / scale, **tolerance)
    for gradient, key in ((features.grad, "grad_feats"), (params.grad, "grad_params")):
        expected = values[f"{key}{suffix}"]
        scale = expected.abs().max()
        torch.testing.assert_close(gradient / scale, expected / scale, **tolerance)
