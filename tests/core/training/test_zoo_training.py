"""One training step of the zoo's other networks at once: deformable convolutions, BiFPN, semantic head."""

from pathlib import Path

import pytest
import torch

from core.compute.compute import Compute
from core.config.file import build_config
from core.datasets.batch import collate
from core.datasets.coco import load_training_set
from core.model.build import build_model
from core.training.loop import train
from core.training.optimizer import build_optimizer
from core.training.preconditions import check_something_to_learn
from core.training.step import train_step
from tests.core.training.tiny_training import root, tiny

__all__ = ["root"]  # a fixture

ZOO = {
    "backbone": {"name": "resnet50", "norm": "frozen", "frozen_stages": 2, "deformable_interval": 3},
    "levels": [3, 4, 5],
    "pyramid": "bifpn",
    "bifpn_repeats": 1,
    "pyramid_channels": 32,
    "head_convs": 1,
    "head_groups": 8,
    "mask_branch_channels": 32,
    "mask_branch_convs": 1,
    "semantic_head": True,
}


def test_every_part_learns_and_masks_teach_the_semantic_head(root: Path) -> None:
    config = tiny(root, model=ZOO, supervision={"mask_ratio": 1.0})
    training_set = load_training_set(config.data, config.supervision, 0, semantic_labels=True)
    torch.manual_seed(0)
    model = build_model(config.model, training_set.num_classes).train()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    batch = collate([training_set[i] for i in range(2)])
    optimizer = build_optimizer(model, config.training)
    (losses,) = train_step(model, optimizer, [batch], config, step=0, steps=10, seed=0)
    assert losses.weighted["semantic"] > 0
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert {name.split(".")[1] for name in frozen} == {"conv1", "layer1"}
    unchanged = {name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])}
    assert {name for name in unchanged - frozen if not name.startswith("head.scales")} == set()  # P5 has no positive


def test_a_semantic_head_without_masks_is_refused_before_anything_is_loaded(root: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.semantic_head learns from masks, but supervision\.mask_ratio is 0"):
        tiny(root, model={"semantic_head": True})


def test_a_semantic_head_on_a_file_without_masks_is_refused_at_the_start(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny(root, model={"semantic_head": True}, supervision={"mask_ratio": 1.0})
    training_set = load_training_set(config.data, config.supervision, 0)
    check_something_to_learn(training_set, config)
    monkeypatch.setattr(type(training_set), "has_masks", False)
    with pytest.raises(ValueError, match=r"no instance with a mask .* model\.semantic_head learns"):
        check_something_to_learn(training_set, config)


def test_the_semantic_term_is_trained_and_reported(root: Path, tmp_path: Path) -> None:
    config = tiny(root, model={"semantic_head": True}, supervision={"mask_ratio": 1.0}, training={"epochs": 2})
    first, second = train(config, 0, Compute(), folder=tmp_path).curves
    assert 0 < second["loss/semantic"] < first["loss/semantic"]


def test_deformable_convolutions_need_bottlenecks() -> None:
    with pytest.raises(ValueError, match="deformable_interval needs resnet50 or resnet101, but name is resnet18"):
        build_config({"model": {"backbone": {"name": "resnet18", "deformable_interval": 3}}}, "x")
