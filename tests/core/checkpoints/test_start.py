"""The weights that a training starts from: classes by name, networks that do not fit, released files."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.checkpoints.checkpoint import save_checkpoint
from core.checkpoints.start import CLASS_LAYERS, load_start, read_start
from core.config import Config
from core.config.file import build_config, merge
from core.config.recipe import load_recipe
from core.files.tensors import write_torch_file
from core.model.build import build_model
from tests.core.released_networks import NUM_CLASSES, config_of, zeros

CLASSES = ["ant", "bee", "cat"]


def config(**model: Any) -> Config:
    masks = {"supervision": {"mask_ratio": 1.0}}  # which the semantic head and Mask R-CNN need
    return build_config(merge(merge(load_recipe("tiny"), masks), {"model": model}), "tiny")


def network(settings: Config, num_classes: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = build_model(settings.model, num_classes)
    for tensor in model.state_dict().values():  # norms and biases too differ between the seeds
        if tensor.is_floating_point():
            tensor.normal_()
    return model


def write(folder: Path, settings: Config, categories: list[str]) -> Path:
    """A checkpoint of a network of seed 1."""
    state = {"model": network(settings, len(categories), seed=1).state_dict(), "categories": categories}
    save_checkpoint(folder / "a.pt", state, config=settings, seed=0, data_digest="d")
    return folder / "a.pt"


def started(path: Path, settings: Config, categories: list[str]) -> tuple[dict, dict]:
    """The tensors of a network of seed 2 before and after it got the weights of the checkpoint."""
    model = network(settings, len(categories), seed=2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    load_start(model, read_start(path, settings.model), settings.model, categories)
    return before, model.state_dict()


def test_with_the_same_classes_every_tensor_is_that_of_the_checkpoint(tmp_path: Path) -> None:
    path = write(tmp_path, config(), CLASSES)
    _, after = started(path, config(), CLASSES)
    there = network(config(), 3, seed=1).state_dict()
    assert all(torch.equal(after[name], there[name]) for name in there)


@pytest.mark.parametrize("model", [{}, {"semantic_head": True}, {"architecture": "mask_rcnn"}], ids=repr)
def test_rows_of_common_classes_are_copied_by_name_and_those_of_others_stay(tmp_path: Path, model: dict) -> None:
    path = write(tmp_path, config(**model), CLASSES)
    before, after = started(path, config(**model), ["cat", "dog", "ant", "emu"])
    there = network(config(**model), 3, seed=1).state_dict()
    layers = {name for name in there if name.rpartition(".")[0] in CLASS_LAYERS}
    assert layers == {name for name in there if there[name].shape != before[name].shape}
    assert {name.rpartition(".")[2] for name in layers} == {"weight", "bias"}
    for name in there.keys() - layers:
        assert torch.equal(after[name], there[name])
    for name in layers:
        count, first = CLASS_LAYERS[name.rpartition(".")[0]]

        def rows(tensors: dict, label: int, name: str = name, count: int = count, first: int = first) -> torch.Tensor:
            return tensors[name][first + count * label :][:count]

        assert torch.equal(after[name][:first], there[name][:first])
        for label, source in ((0, 2), (2, 0)):  # cat, ant
            assert torch.equal(rows(after, label), rows(there, source))
        for label in (1, 3):  # dog, emu
            assert torch.equal(rows(after, label), rows(before, label))


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        (
            {"mask_branch_channels": 32},
            {},
            r"'mask_branch\.refine\.0\.0\.weight' is \(32, 16, 3, 3\) of float32, expected \(16, 16, 3, 3\) of float32 "
            r"\(model\.mask_branch_channels is 32 instead of 16\)$",
        ),
        (
            {},
            {"architecture": "mask_rcnn"},
            r"'rpn\.head\.conv\.0\.0\.weight' is missing, expected .* \(model\.architecture is condinst instead of",
        ),
        (
            {"semantic_head": True},
            {},
            r"it has 'semantic_head\.tower\.0\.0\.weight', which this one lacks \(model",
        ),
    ],
)
def test_another_network_is_refused_with_its_first_tensor(
    tmp_path: Path, theirs: dict, ours: dict, message: str
) -> None:
    path = write(tmp_path, config(**theirs), CLASSES)
    with pytest.raises(ValueError, match=rf"a\.pt: the network in it is another one than this training's: {message}"):
        started(path, config(**ours), CLASSES)


def test_a_network_that_computes_otherwise_from_equal_tensors_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, config(), CLASSES)
    message = r"a\.pt: the network in it computes otherwise than .*: model\.backbone\.channel_order is RGB instead"
    with pytest.raises(ValueError, match=message):
        started(path, config(backbone={"channel_order": "BGR"}), CLASSES)
    started(path, config(class_prior=0.1, backbone={"frozen_stages": 0}), CLASSES)  # of the training, not the network


def test_the_digest_is_of_the_content_wherever_the_file_lies(tmp_path: Path) -> None:
    path = write(tmp_path, config(), CLASSES)
    first = read_start(path, config().model)
    moved = Path(shutil.move(path, tmp_path / "moved.pt"))
    assert read_start(moved, config().model).sha256 == first.sha256
    other = write(tmp_path, config(), ["ant", "bee", "dog"])
    assert read_start(other, config().model).sha256 != first.sha256


def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"gone\.pt: cannot be read \(No such file"):
        read_start(tmp_path / "gone.pt", config().model)
    write_torch_file(tmp_path / "b.pt", {"conv1.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"b\.pt: no checkpoint of this program, and none of AdelaiDet's: no class"):
        read_start(tmp_path / "b.pt", config().model)


def test_released_weights_are_taken_without_their_classes_unless_there_are_as_many(tmp_path: Path) -> None:
    path, settings = tmp_path / "boxinst.pth", config_of("boxinst").model
    torch.save({"model": zeros("boxinst")}, path)
    settings = settings.model_copy(update={"backbone": settings.backbone.model_copy(update={"weights": None})})
    start = read_start(path, settings)
    assert (start.classes, start.num_classes) == (None, NUM_CLASSES)
    model = build_model(settings, 2)
    class_logits = model.head.class_logits.weight.clone()
    load_start(model, start, settings, ["ant", "bee"])
    assert torch.equal(model.head.class_logits.weight, class_logits)
    assert not model.head.ltrb.weight.any()
    assert start.common_classes([str(i) for i in range(NUM_CLASSES)]) == [(i, i) for i in range(NUM_CLASSES)]
    with pytest.raises(ValueError, match=r"boxinst\.pth: an AdelaiDet checkpoint, but model\.architecture is mask"):
        read_start(path, settings.model_copy(update={"architecture": "mask_rcnn"}))
