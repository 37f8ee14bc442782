"""A checkpoint from elsewhere whose state does not fit is refused with the file and the place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core.checkpoints.checkpoint import save_checkpoint
from core.checkpoints.network import load_checkpoint_network, load_network
from core.config import Config
from core.config.file import build_config
from core.files.tensors import write_torch_file
from core.model.build import build_model

SETTINGS = {
    "model": {
        "backbone": {"name": "resnet18", "norm": "trained"},
        "levels": [3, 4, 5],
        "pyramid_channels": 16,
        "head_convs": 1,
        "head_groups": 4,
        "mask_branch_channels": 16,
        "mask_branch_convs": 1,
    },
    "assignment": {"size_boundaries": [32, 64]},
}


@pytest.fixture(scope="module")
def config() -> Config:
    return build_config(SETTINGS, "test")


@pytest.fixture(scope="module")
def tensors(config: Config) -> dict[str, torch.Tensor]:
    return dict(build_model(config.model, 2).state_dict())


def first(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in tensors if name.endswith("bias"))


Change = Callable[[dict[str, Any]], Any]


def with_tensor(value: Callable[[torch.Tensor], Any]) -> Change:
    """Replace the first bias by what `value` makes of it."""

    def change(state: dict[str, Any]) -> None:
        name = first(state["model"])
        state["model"][name] = value(state["model"][name])

    return change


def with_part(name: str, value: Any) -> Change:
    return lambda state: state.update({name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("model"), r"state\.model is None, expected the tensors of a network by name"),
        (with_part("model", []), r"state\.model is \[\], expected the tensors"),
        (with_part("model", {}), r"state\.model is \{\}, expected the tensors"),
        (with_part("model", {3: torch.ones(1)}), "state.model has the name 3, expected text"),
        (with_part("model", {"w": torch.ones(1)}), r"this network: \d+ missing \(.*; 1 unexpected \(w\)"),
        (with_tensor(lambda tensor: 3.0), "state.model: '.*bias' is 3.0, expected a tensor"),
        (with_tensor(lambda tensor: tensor.tolist()), "state.model: '.*bias' is .*, expected a tensor"),
        (with_tensor(lambda tensor: tensor / 0), "state.model: '.*bias' has 64 numbers that are not finite"),
        (with_tensor(lambda tensor: tensor.to_sparse()), "bias' is a tensor of another kind .*, expected a dense"),
        (with_tensor(lambda tensor: tensor.to("meta")), "'.*bias' is a tensor of another kind"),
        (with_tensor(lambda tensor: tensor[:3]), r"1 other than expected \(.*: \(3,\) of float32 instead of \(64,\)"),
        (with_tensor(lambda tensor: tensor.long()), r"\(64,\) of int64 instead of \(64,\) of float32"),
        (with_tensor(lambda tensor: tensor[0]), r"\(\) of float32 instead of \(64,\)"),
        (lambda state: state.pop("categories"), r"state\.categories is None, expected the names of the classes"),
        (with_part("categories", []), r"state\.categories is \[\], expected"),
        (with_part("categories", "cat"), r"state\.categories is 'cat', expected"),
        (with_part("categories", ["cat", 3]), r"state\.categories: 3 at place 2, expected the name of a class"),
        (with_part("categories", ["cat", ""]), r"state\.categories: '' at place 2, expected"),
        (with_part("categories", ["cat", "cat"]), r"state\.categories: 'cat' stands there twice"),
        (with_part("categories", ["cat", "dog", "cow"]), r"tensors do not fit this network: \d+ other than expected"),
    ],
)  # fmt: skip
def test_a_state_that_does_not_fit_is_refused_with_its_place(
    config: Config, tensors: dict[str, torch.Tensor], tmp_path: Path, change: Change, message: str
) -> None:
    state = {"model": dict(tensors), "categories": ["cat", "dog"]}
    change(state)
    save_checkpoint(tmp_path / "a.pt", state, config=config, seed=0, data_digest="d")
    with pytest.raises(ValueError, match=rf"^{tmp_path}/a\.pt: .*{message}"):
        load_checkpoint_network(tmp_path / "a.pt", device="cpu")


def test_a_network_that_cannot_be_built_is_told_with_the_file(tmp_path: Path) -> None:
    settings = SETTINGS | {"model": SETTINGS["model"] | {"backbone": {"name": "timm:none_such"}}}
    state = {"model": {"w": torch.ones(1)}, "categories": ["cat"]}
    save_checkpoint(tmp_path / "a.pt", state, config=build_config(settings, "test"), seed=0, data_digest="d")
    with pytest.raises(ValueError, match=r"a\.pt: its network cannot be built: .*none_such"):
        load_checkpoint_network(tmp_path / "a.pt", device="cpu")


@pytest.mark.parametrize("value", [torch.tensor(1.0), torch.ones(2).to_sparse(), "text", [1, 2], None])
def test_a_released_file_with_other_values_is_refused_with_its_name(config: Config, tmp_path: Path, value: Any) -> None:
    name = "proposal_generator.fcos_head.cls_logits.bias"
    write_torch_file(tmp_path / "a.pth", {"model": {name: value}})
    with pytest.raises(ValueError, match=rf"^{tmp_path}/a\.pth: "):
        load_network(tmp_path / "a.pth", config.model, ["cat", "dog"], device="cpu")
