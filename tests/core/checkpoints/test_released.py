"""AdelaiDet's checkpoints: every tensor finds its place, and what does not fit is refused by name."""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.checkpoints.released import load_released_weights, our_name
from core.model.build import build_model
from core.model.condinst import CondInst
from tests.core.released_networks import NUM_CLASSES, STATE_DICTS, config_of, specification, zeros


def built(network: str, **changes: object) -> CondInst:
    with torch.device("meta"):  # names and shapes alone
        return build_model(config_of(network).model.model_copy(update=changes), NUM_CLASSES)


@pytest.fixture(scope="module")
def condinst() -> CondInst:
    """A network shared by the tests, none of which asks what its weights were before."""
    return build_model(config_of("condinst").model, NUM_CLASSES)


@pytest.mark.parametrize("network", STATE_DICTS)
def test_every_tensor_has_one_place_and_none_is_left_over_golden(network: str) -> None:
    theirs = {tensor["name"]: tensor for tensor in specification(network)["state_dict"]}
    without = [name for name in theirs if our_name(name) is None]
    assert all(name.startswith("mask_head.") or name.endswith("num_batches_tracked") for name in without)
    places = {our_name(name): tuple(tensor["shape"]) for name, tensor in theirs.items() if name not in without}
    assert len(places) == len(theirs) - len(without)
    ours = {name: tuple(tensor.shape) for name, tensor in built(network).state_dict().items()}
    assert places == {name: shape for name, shape in ours.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("network", STATE_DICTS)
def test_as_many_parameters_learn_as_in_adelaidet_module_by_module_golden(network: str) -> None:
    def counts(shapes: dict[str, tuple[int, ...]]) -> dict[str, int]:
        modules: dict[str, int] = {}
        for name, shape in shapes.items():
            module = ".".join(name.split(".")[:3])
            modules[module] = modules.get(module, 0) + torch.Size(shape).numel()
        return modules

    theirs = [tensor for tensor in specification(network)["state_dict"] if tensor["kind"] == "param"]
    for learns in (True, False):
        expected = {our_name(tensor["name"]): tensor["shape"] for tensor in theirs if tensor["trainable"] is learns}
        ours = {name: p.shape for name, p in built(network).named_parameters() if p.requires_grad is learns}
        assert counts(ours) == counts(expected)


@pytest.mark.parametrize("network", ["boxinst", "condinst"])
def test_parameters_add_up_to_the_counts_that_adelaidet_states_golden(network: str) -> None:
    parameters = dict(built(network).named_parameters())
    theirs = [name for name in zeros(network) if our_name(name) in parameters]
    for start, count in specification(network)["counts"].items():
        inside = [parameters[our_name(name)] for name in theirs if start == "TOTAL" or name.startswith(start)]
        assert sum(parameter.numel() for parameter in inside) == count["params"], start
        assert sum(parameter.numel() for parameter in inside if parameter.requires_grad) == count["trainable"], start


def with_semantic_head(golden: Callable) -> dict[str, Tensor]:
    """CondInst's `sem` checkpoint: the auxiliary head's tensors, as the golden file lists them, beside the others."""
    tensors = zeros("condinst")
    for module in golden("n_semantic_loss")["sem_modules"].tolist():
        name, _, shape = module.partition(" ")
        sizes = [int(size) for size in shape.split("x") if size]
        tensors[f"mask_branch.{name}"] = torch.full((), 2.0).expand(sizes)
    return tensors


def test_semantic_head_is_filled_where_there_is_one_and_left_out_elsewhere_golden(
    golden: Callable, condinst: CondInst, tmp_path: Path
) -> None:
    torch.save({"model": with_semantic_head(golden)}, tmp_path / "sem.pth")
    model = build_model(config_of("condinst").model.model_copy(update={"semantic_head": True}), NUM_CLASSES)
    load_released_weights(model, tmp_path / "sem.pth")
    tensors = {name: tensor for name, tensor in model.semantic_head.state_dict().items() if "num_batches" not in name}
    assert len(tensors) == 12
    assert all((tensor == 2).all() for tensor in tensors.values())
    load_released_weights(condinst, tmp_path / "sem.pth")
    torch.save({"model": zeros("condinst")}, tmp_path / "plain.pth")
    with pytest.raises(ValueError, match=r": 12 missing \(mask_branch.seg_head.0.0.weight, "):
        load_released_weights(model, tmp_path / "plain.pth")


def test_bare_state_dict_is_read_too_golden(condinst: CondInst, tmp_path: Path) -> None:
    torch.save(zeros("condinst") | {"pixel_mean": torch.zeros(3, 1, 1)}, tmp_path / "bare.pth")
    load_released_weights(condinst, tmp_path / "bare.pth")
    assert all((tensor == 0).all() for tensor in condinst.state_dict().values())


def test_renamed_missing_and_reshaped_tensors_are_refused_by_name_golden(condinst: CondInst, tmp_path: Path) -> None:
    tensors = zeros("condinst")
    tensors["backbone.bottom_up.res3.0.downsample.weight"] = tensors.pop("backbone.bottom_up.res3.0.shortcut.weight")
    del tensors["proposal_generator.fcos_head.scales.2.scale"]
    tensors["controller.bias"] = torch.zeros(233)  # BoxInst's; CondInst has 169
    torch.save({"model": tensors}, tmp_path / "other.pth")
    before = {name: tensor.clone() for name, tensor in condinst.state_dict().items()}
    with pytest.raises(ValueError, match=r"other\.pth: tensors do not fit this network") as refused:
        load_released_weights(condinst, tmp_path / "other.pth")
    missing, unexpected, misshapen = str(refused.value).split("; ")
    names = "backbone.bottom_up.res3.0.shortcut.weight, proposal_generator.fcos_head.scales.2.scale"
    assert missing.endswith(f": 2 missing ({names})")
    assert unexpected == "1 unexpected (backbone.bottom_up.res3.0.downsample.weight)"
    assert misshapen == "1 of wrong shape (controller.bias (233,) instead of (169,))"
    assert all(torch.equal(tensor, before[name]) for name, tensor in condinst.state_dict().items())


def test_two_names_for_one_place_are_refused_golden(condinst: CondInst, tmp_path: Path) -> None:
    tensors = zeros("condinst")
    name = "backbone.bottom_up.res2.0.conv1.weight"
    other = name.replace("bottom_up.", "bottom_up.backbone.")  # as under a BiFPN
    tensors[other] = tensors[name] + 1
    torch.save({"model": tensors}, tmp_path / "two.pth")
    with pytest.raises(ValueError, match=rf"two\.pth: tensors do not fit .*: 1 duplicated \({name} = {other}\)$"):
        load_released_weights(condinst, tmp_path / "two.pth")


@pytest.mark.parametrize("tensor", [
    torch.full((169,), float("nan")), torch.full((169,), float("inf")), torch.zeros(169, dtype=torch.int64),
    torch.zeros(169, dtype=torch.complex64),
])  # fmt: skip
def test_tensors_of_anything_but_finite_floats_are_refused_by_name_golden(
    condinst: CondInst, tmp_path: Path, tensor: Tensor
) -> None:
    torch.save({"model": zeros("condinst") | {"controller.bias": tensor}}, tmp_path / "odd.pth")
    before = {name: tensor.clone() for name, tensor in condinst.state_dict().items()}
    with pytest.raises(ValueError, match=r"odd\.pth: tensors do not fit .*: 1 not finite floats \(controller\.bias\)$"):
        load_released_weights(condinst, tmp_path / "odd.pth")
    assert all(torch.equal(tensor, before[name]) for name, tensor in condinst.state_dict().items())


@pytest.mark.parametrize(("network", "difference"), [
    ("boxinst", "model.mask_feature_channels 16 (BoxInst) instead of 8 (CondInst)"),
    ("boxinst_r101", "model.backbone.name resnet101 instead of resnet50"),
    ("boxinst_r50_bifpn", "model.pyramid bifpn of 6 repeats instead of fpn, model.pyramid_channels 160 instead of 256"),
    ("boxinst_r101_bifpn_dcn", "model.backbone.deformable_interval for 23 of 23 blocks of res4 instead of for 0 of 6"),
])  # fmt: skip
def test_checkpoint_of_another_network_says_which_settings_differ_golden(
    condinst: CondInst, tmp_path: Path, network: str, difference: str
) -> None:
    torch.save({"model": zeros(network)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth: tensors do not fit this network, ") as refused:
        load_released_weights(condinst, tmp_path / "other.pth")
    assert difference in str(refused.value)


def test_checkpoint_of_other_classes_says_both_numbers_golden(tmp_path: Path) -> None:
    torch.save({"model": zeros("condinst")}, tmp_path / "coco.pth")
    with pytest.raises(ValueError, match=r"tensors do not fit this network, classes 80 instead of 20: 2 of wrong"):
        load_released_weights(build_model(config_of("condinst").model, 20), tmp_path / "coco.pth")


@dataclass
class Intruder:
    folder: Path

    def __reduce__(self) -> tuple:  # what an unpickler that obeys calls
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, 2))])
def test_file_with_code_is_refused_and_the_code_not_run(condinst: CondInst, tmp_path: Path, write: Callable) -> None:
    write({"model": {}, "hook": Intruder(tmp_path / "ran")}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match=r"code\.pth: not a torch file that holds only tensors"):
        load_released_weights(condinst, tmp_path / "code.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["pixel_mean", "mask_head._iter", "a.num_batches_tracked", "head.ltrb.bias"])
def test_names_without_counterpart_have_none(name: str) -> None:
    assert our_name(name) is None
