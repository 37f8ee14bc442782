import pytest
import torch

from core.config import BackboneConfig, ModelConfig
from core.model.build import build_model

SMALL = ModelConfig(
    backbone=BackboneConfig(name="resnet18", norm="trained", frozen_stages=0, channel_order="RGB"),
    levels=(3, 4, 5),
    pyramid_channels=16,
    head_convs=1,
    head_groups=2,
    mask_branch_channels=16,
    mask_branch_convs=1,
    mask_feature_channels=8,
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = build_model(SMALL, num_classes=3)
    for module in model.modules():  # activations of trained size, so that comparisons mean something
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
    torch.nn.init.normal_(model.controller.weight, std=0.1)
    return model


def photos(num_images=2, height=64, width=96):
    return torch.randint(256, (num_images, 3, height, width), dtype=torch.uint8)


def test_predictions_cover_every_location(model):
    predictions = model(photos(), [(64, 96)] * 2)
    assert predictions.class_logits.shape == (2, 8 * 12 + 4 * 6 + 2 * 3, 3)
    assert predictions.ltrb.shape == (2, 126, 4)
    assert predictions.centerness_logits.shape == (2, 126)
    assert predictions.locations[[0, 96, 125]].tolist() == [[4, 4], [8, 8], [80, 48]]
    assert predictions.level_index[[0, 96, 125]].tolist() == [0, 1, 2]
    assert predictions.strides[[0, 96, 125]].tolist() == [8, 16, 32]
    assert predictions.mask_features.shape == (2, 8, 8, 12)


def test_masks_lie_on_the_grid_of_stride_4(model):
    predictions = model(photos(), [(64, 96)] * 2)
    assert model.predict_masks(predictions, torch.tensor([0, 1, 1]), torch.tensor([0, 5, 125])).shape == (3, 16, 24)


def test_a_batch_of_two_equals_two_batches_of_one(model):
    model.eval().double()  # the order of float32 sums depends on the batch
    images, sizes = photos(), [(64, 96), (50, 70)]
    image_index, location_index = torch.tensor([0, 1, 1]), torch.tensor([3, 17, 120])
    with torch.no_grad():
        both = model(images, sizes)
        masks = model.predict_masks(both, image_index, location_index)
        for i in range(2):
            one = model(images[i : i + 1], sizes[i : i + 1])
            for name in ("class_logits", "ltrb", "centerness_logits", "mask_features"):
                torch.testing.assert_close(getattr(both, name)[i : i + 1], getattr(one, name))
            mine = image_index == i
            alone = model.predict_masks(one, torch.zeros(mine.sum(), dtype=torch.int64), location_index[mine])
            torch.testing.assert_close(masks[mine], alone)


def test_content_of_the_padding_changes_nothing(model):
    model.eval()
    images = photos(1)
    black, white = images.clone(), images.clone()
    black[:, :, 50:], black[:, :, :, 70:] = 0, 0
    white[:, :, 50:], white[:, :, :, 70:] = 255, 255
    with torch.no_grad():
        assert torch.equal(model(black, [(50, 70)]).class_logits, model(white, [(50, 70)]).class_logits)


def test_padding_is_zero_after_normalizing_and_channels_are_in_order(model):
    model.channel_order = "BGR"
    model.pixel_mean.copy_(torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1))
    model.pixel_std.copy_(torch.tensor([1.0, 2.0, 4.0]).reshape(3, 1, 1))
    images = torch.tensor([30, 20, 10], dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 32, 32)
    normalized = model.normalize(images, [(20, 24)])
    # blue (10 - 1)/1, green (20 - 2)/2, red (30 - 3)/4
    assert normalized[0, :, 19, 23].tolist() == [9, 9, 6.75]
    assert not normalized[:, :, 20:].any()
    assert not normalized[:, :, :, 24:].any()


def test_images_not_padded_to_32_are_refused(model):
    with pytest.raises(ValueError, match=r"padded to \(64, 90\) pixels, expected multiples of 32"):
        model(photos(width=90), [(64, 90)] * 2)


def test_no_instances_give_no_masks_and_defined_gradients(model):
    predictions = model(photos(), [(64, 96)] * 2)
    none = torch.zeros(0, dtype=torch.int64)
    masks = model.predict_masks(predictions, none, none)
    assert masks.shape == (0, 16, 24)
    masks.sum().backward()
    assert torch.equal(model.controller.weight.grad, torch.zeros_like(model.controller.weight))
    assert not model.mask_branch.output.weight.grad.any()


def test_every_parameter_gets_a_gradient(model):
    predictions = model(photos(), [(64, 96)] * 2)
    masks = model.predict_masks(predictions, torch.tensor([0, 1]), torch.tensor([40, 110]))
    outputs = (predictions.class_logits, predictions.ltrb, predictions.centerness_logits, masks)
    sum(output.square().sum() for output in outputs).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_bfloat16_autocast_in_channels_last_is_close_to_float32(model):
    model.eval()
    images, sizes = photos(), [(64, 96)] * 2
    index = torch.tensor([0, 1]), torch.tensor([40, 110])
    with torch.no_grad():
        exact = model(images, sizes)
        exact_masks = model.predict_masks(exact, *index)
        model.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(images, sizes)
            rough_masks = model.predict_masks(rough, *index)
    for found, expected in (
        (rough.class_logits, exact.class_logits),
        (rough.ltrb, exact.ltrb),
        (rough.centerness_logits, exact.centerness_logits),
        (rough_masks, exact_masks),
    ):
        assert found.dtype == torch.float32
        assert (found - expected).norm() < 0.05 * expected.norm()


def test_the_semantic_head_reads_p3_and_is_absent_unless_asked_for(model):
    assert model(photos(), [(64, 96)] * 2).semantic_logits is None
    with_head = build_model(SMALL.model_copy(update={"semantic_head": True}), num_classes=3)
    assert with_head(photos(), [(64, 96)] * 2).semantic_logits.shape == (2, 3, 8, 12)
    assert set(with_head.state_dict()) - set(model.state_dict()) == {
        name for name in with_head.state_dict() if name.startswith("semantic_head.")
    }


def test_a_bifpn_takes_the_place_of_the_fpn():
    model = build_model(SMALL.model_copy(update={"pyramid": "bifpn", "bifpn_repeats": 2}), num_classes=3)
    assert len(model.pyramid.repeats) == 2
    predictions = model(photos(), [(64, 96)] * 2)
    assert predictions.class_logits.shape == (2, 126, 3)
    assert predictions.mask_features.shape == (2, 8, 8, 12)
