"""The trunk of a trained network starts another network: equal maps, whatever stood on it."""

from pathlib import Path

import pytest
import torch

from core.checkpoints.backbone import main
from core.checkpoints.checkpoint import save_checkpoint
from core.config.file import build_config
from core.model.backbone import build_backbone
from core.model.build import build_model

SMALL = {
    "model": {
        "levels": [3, 4, 5], "pyramid_channels": 16, "head_convs": 1, "head_groups": 4,
        "mask_branch_channels": 16, "mask_branch_convs": 1,
    },
    "assignment": {"size_boundaries": [48, 96]},
}  # fmt: skip


@pytest.mark.parametrize("norm", ["trained", "frozen"])
@pytest.mark.parametrize("name", ["timm:test_resnet", "resnet18"])
def test_another_training_starts_from_it(
    name: str, norm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backbone = {"name": name, "norm": norm, "frozen_stages": 0, "stride_in_1x1": False}
    config = build_config(SMALL | {"model": SMALL["model"] | {"backbone": backbone}}, "test")
    torch.manual_seed(1)
    network = build_model(config.model, 3)
    images = torch.randn(2, 3, 64, 64)
    network.backbone(images)  # statistics that are not the initial ones
    checkpoint, weights = tmp_path / "checkpoint.pt", tmp_path / "trunk.pt"
    save_checkpoint(checkpoint, {"model": network.state_dict()}, config=config, seed=0, data_digest="d")

    assert main([str(checkpoint), str(weights)]) == 0
    assert capsys.readouterr().out == f"{weights}: backbone {name}\n"
    torch.manual_seed(2)
    other = build_backbone(**backbone | {"weights": str(weights), "norm": "frozen"})
    with torch.no_grad():
        for found, expected in zip(other(images), network.eval().backbone(images), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_is_no_checkpoint_of_ours_is_told_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"model": {}}, tmp_path / "other.pt")
    for name, message in (("other.pt", "not a checkpoint of this program"), ("gone.pt", "cannot be read")):
        assert main([str(tmp_path / name), str(tmp_path / "trunk.pt")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "trunk.pt").exists()
