"""Parameters and operations of networks that are never run, as those that are."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from core.config import BackboneConfig, DataConfig, ModelConfig
from core.config.file import build_config
from core.config.recipe import load_recipe
from core.model.build import build_model
from experiments.planning.network_size import NUM_MASKS, network_size, padded_size
from tests.experiments.conftest import BASE


def test_photos_are_taken_for_2_by_3_unless_the_longer_side_is_limited() -> None:
    assert padded_size(build_config(load_recipe("coco_r50_1x"), "x").data) == (800, 1216)  # 800 x 1200
    assert padded_size(build_config(load_recipe("shapes"), "x").data) == (160, 160)
    assert padded_size(DataConfig(val_short_side=65, long_side_max=1000)) == (96, 128)  # 65 x 97.5


def test_a_network_without_memory_counts_as_one_with_it() -> None:
    model = build_config(BASE, "tiny").model
    network = build_model(model, 4).eval()
    images = torch.zeros(1, 3, 96, 128, dtype=torch.uint8)
    index = torch.zeros(NUM_MASKS, dtype=torch.int64)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.predict_masks(network(images, [(96, 128)]), index, index)
    size = network_size(model, 4, 96, 128)
    assert size.parameters == sum(parameter.numel() for parameter in network.parameters())
    # torch counts no biases, and the mask head multiplies its first layer's in with the weights
    assert size.forward_flops == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_a_deformable_convolution_costs_what_writes_its_shifts_beside_the_convolution() -> None:
    plain, deformable = (ModelConfig(backbone=BackboneConfig(deformable_interval=interval)) for interval in (None, 1))
    added = network_size(deformable, 80, 64, 64).forward_flops - network_size(plain, 80, 64, 64).forward_flops
    # 27 maps from 3x3 windows, in 4, 6 and 3 blocks of 128, 256 and 512 channels on grids of 8x8, 4x4 and 2x2
    assert added == 2 * 27 * 9 * (4 * 128 * 64 + 6 * 256 * 16 + 3 * 512 * 4)


def test_weights_need_not_be_there() -> None:
    backbone = BackboneConfig(name="resnet18", weights="weights/none.pkl")
    assert network_size(ModelConfig(backbone=backbone), 80, 64, 64).parameters > 11_000_000


def test_of_mask_rcnn_only_the_parameters_are_known() -> None:
    size = network_size(ModelConfig(architecture="mask_rcnn", backbone=BackboneConfig(name="resnet18")), 2, 64, 64)
    assert size.parameters > 11_000_000
    assert size.forward_flops is None
