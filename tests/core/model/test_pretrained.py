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
    with pytest.raises(ValueError, match=r"none.pt cannot be read"):
        load_weights(trunk(), str(tmp_path / "none.pt"))
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(ValueError, match=r"text.pt is no torch file"):
        load_weights(trunk(), str(tmp_path / "text.pt"))
    with pytest.raises(ValueError, match="expected a state dict"):
        load_weights(trunk(), save(torch.zeros(3)))


def test_an_unknown_package_is_refused():
    with pytest.raises(ValueError, match=r"'package:resnet7', known packages: efficientnet_lite0"):
        load_weights(trunk(), "package:resnet7")


def test_a_package_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"0.weight has shape \(32, 3, 3, 3\), expected \(4, 3, 1, 1\)"):
        load_weights(trunk(), "package:efficientnet_lite0")
