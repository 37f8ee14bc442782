import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from core.model.pretrained import load_weights


def trunk():
    return nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))


@pytest.fixture
def save(tmp_path):
    def write(tensors):
        torch.save(tensors, tmp_path / "weights.pt")
        return str(tmp_path / "weights.pt")

    return write


def test_a_file_is_loaded_and_its_classifier_left_aside(save):
    source, target = trunk(), trunk()
    load_weights(target, save({**source.state_dict(), "fc.weight": torch.ones(2, 2)}))
    assert torch.equal(target[0].weight, source[0].weight)


def test_a_file_may_lack_the_batch_counter(save):
    tensors = {key: tensor for key, tensor in trunk().state_dict().items() if key != "1.num_batches_tracked"}
    load_weights(trunk(), save(tensors))


def test_missing_and_unexpected_names_are_told(save):
    tensors = trunk().state_dict()
    tensors["layer9.weight"] = tensors.pop("0.weight")
    path = save(tensors)
    with pytest.raises(
        ValueError, match=r"missing 1 tensors \(0.weight\), unexpected 1 tensors \(layer9.weight\)"
    ) as e:
        load_weights(trunk(), path)
    assert path in str(e.value)


def test_a_wrong_shape_is_told(save):
    with pytest.raises(ValueError, match=r"0.weight has shape \(4, 5, 1, 1\), expected \(4, 3, 1, 1\)"):
        load_weights(trunk(), save(trunk().state_dict() | {"0.weight": torch.zeros(4, 5, 1, 1)}))


def test_a_missing_file_a_text_file_and_a_bare_tensor_are_refused(tmp_path, save):
    with pytest.raises(ValueError, match=r"model\.backbone\.weights: no file '.*none\.pt'"):
        load_weights(trunk(), str(tmp_path / "none.pt"))
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match=r"text.pt: not a torch file"):
        load_weights(trunk(), str(tmp_path / "text.pt"))
    with pytest.raises(ValueError, match="expected a state dict"):
        load_weights(trunk(), save(torch.zeros(3)))


def test_an_unknown_package_is_refused():
    with pytest.raises(
        ValueError, match=r"'package:resnet7', expected one of package:efficientnet_lite0, package:shapes_trunk"
    ):
        load_weights(trunk(), "package:resnet7")


def test_a_package_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"0.weight has shape \(32, 3, 3, 3\), expected \(4, 3, 1, 1\)"):
        load_weights(trunk(), "package:efficientnet_lite0")


def small_resnet() -> nn.Module:
    """A stem and one bottleneck, under torchvision's names."""
    block = nn.Module()
    for i in (1, 2, 3):
        setattr(block, f"conv{i}", nn.Conv2d(2, 2, 1, bias=False))
        setattr(block, f"bn{i}", nn.BatchNorm2d(2))
    block.downsample = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2))
    resnet = nn.Module()
    resnet.conv1, resnet.bn1, resnet.layer1 = nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Sequential(block)
    return resnet


CAFFE2_CONVOLUTIONS = {
    "conv1": "conv1",
    "res2_0_branch1": "layer1.0.downsample.0",
    "res2_0_branch2a": "layer1.0.conv1",
    "res2_0_branch2b": "layer1.0.conv2",
    "res2_0_branch2c": "layer1.0.conv3",
}
CAFFE2_NORMS = {
    "res_conv1_bn": "bn1",
    "res2_0_branch1_bn": "layer1.0.downsample.1",
    "res2_0_branch2a_bn": "layer1.0.bn1",
    "res2_0_branch2b_bn": "layer1.0.bn2",
    "res2_0_branch2c_bn": "layer1.0.bn3",
}


def pickled(path: Path, content: dict) -> str:
    path.write_bytes(pickle.dumps(content, 2))
    return str(path)


def test_caffe2s_whole_norms_are_read_and_biases_of_convolutions_left_out(tmp_path):
    rng = np.random.default_rng(0)
    blobs = {f"{name}_w": rng.normal(size=(2, 2, 1, 1)).astype(np.float32) for name in CAFFE2_CONVOLUTIONS}
    parts = {"gamma": "weight", "beta": "bias", "running_mean": "running_mean", "running_var": "running_var"}
    blobs |= {f"{norm}_{part}": rng.random(2, dtype=np.float32) for norm in CAFFE2_NORMS for part in parts}
    unused = {"conv1_b": np.ones(2), "res2_0_branch2a_b": np.ones(2), "fc1000_w": np.ones((9, 2)), "pred_b": np.ones(9)}
    resnet = small_resnet()
    load_weights(resnet, pickled(tmp_path / "R-50.pkl", blobs | unused))
    found = resnet.state_dict()
    for theirs, ours in CAFFE2_CONVOLUTIONS.items():
        np.testing.assert_array_equal(found[f"{ours}.weight"], blobs[f"{theirs}_w"])
    for theirs, ours in CAFFE2_NORMS.items():
        for part, name in parts.items():
            np.testing.assert_array_equal(found[f"{ours}.{name}"], blobs[f"{theirs}_{part}"])


def test_caffe2s_norms_of_scale_and_shift_compute_just_that(tmp_path):
    blobs = {f"{name}_w": np.ones((2, 2, 1, 1)) for name in CAFFE2_CONVOLUTIONS}
    blobs |= {f"{norm}_s": np.array([3.0, 0.5]) for norm in CAFFE2_NORMS}
    blobs |= {f"{norm}_b": np.array([1.0, -1.0]) for norm in CAFFE2_NORMS}
    resnet = small_resnet()
    load_weights(resnet, pickled(tmp_path / "R-50.pkl", {"blobs": blobs | {"conv1_w_momentum": np.ones(1)}}))
    images = torch.randn(1, 2, 3, 3)
    scale, shift = torch.tensor([3.0, 0.5]).reshape(2, 1, 1), torch.tensor([1.0, -1.0]).reshape(2, 1, 1)
    torch.testing.assert_close(resnet.layer1[0].bn2.eval()(images), images * scale + shift)


def test_detectron2s_names_are_read(tmp_path):
    source = small_resnet()
    names = {"bn1": "stem.conv1.norm", "conv1": "stem.conv1", "layer1.0.downsample.0": "res2.0.shortcut"}
    names |= {"layer1.0.downsample.1": "res2.0.shortcut.norm"}
    names |= {f"layer1.0.conv{i}": f"res2.0.conv{i}" for i in (1, 2, 3)}
    names |= {f"layer1.0.bn{i}": f"res2.0.conv{i}.norm" for i in (1, 2, 3)}
    tensors = {}
    for ours, tensor in source.state_dict().items():
        module, _, part = ours.rpartition(".")
        if part != "num_batches_tracked":
            tensors[f"{names[module]}.{part}"] = torch.rand_like(tensor).numpy()
    content = {"model": tensors | {"stem.fc.weight": np.ones((9, 2))}, "__author__": "x", "matching_heuristics": True}
    resnet = small_resnet()
    load_weights(resnet, pickled(tmp_path / "R-50.pkl", content))
    found = resnet.state_dict()
    for ours, theirs in names.items():
        np.testing.assert_array_equal(found[f"{ours}.weight"], tensors[f"{theirs}.weight"])
    variance = tensors["res2.0.shortcut.norm.running_var"]
    np.testing.assert_array_equal(found["layer1.0.downsample.1.running_var"], variance)

    del tensors["res2.0.conv3.norm.bias"]
    with pytest.raises(ValueError, match=r"R-50.pkl: .* missing 1 tensors \(layer1.0.bn3.bias\), unexpected 0"):
        load_weights(resnet, pickled(tmp_path / "R-50.pkl", content | {"model": tensors}))


def test_a_pickle_that_would_run_something_is_refused_unread(tmp_path):
    class Intruder:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    with pytest.raises(
        ValueError, match=r"backbone.weights: .*R-50.pkl: not a pickle that holds only numpy arrays: .*mkdir"
    ):
        load_weights(small_resnet(), pickled(tmp_path / "R-50.pkl", {"model": Intruder()}))
    assert not (tmp_path / "ran").exists()
