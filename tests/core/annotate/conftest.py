"""Networks with photos beside them: one that is untrained, and one whose masks are known."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from core.annotate import box_masks
from core.checkpoints.checkpoint import save_checkpoint
from core.config.file import build_config
from core.model.build import build_model
from tests.core.annotate.given_boxes import Counted, content, write
from tests.core.annotate.photos import SETTINGS
from tests.core.pseudo_masks.test_given_boxes import config
from tests.core.pseudo_masks.test_teacher import HEIGHT, WIDTH


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained network of two classes: with a threshold of 0 it detects something everywhere."""
    config = build_config(SETTINGS, "test")
    torch.manual_seed(0)
    model = build_model(config.model, 2)
    state = {"model": model.state_dict(), "categories": ["cat", "dog"], "curves": []}
    save_checkpoint(tmp_path / "checkpoint.pt", state, config=config, seed=0, data_digest="d")
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (120, 80), "red").save(tmp_path / "photos" / "b.png")
    Image.new("L", (70, 90), 128).save(tmp_path / "photos" / "a.jpg")
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    return tmp_path / "checkpoint.pt"


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The network of `checkpoint.pt`; `boxes.json` and its photos lie beside it."""
    network = Counted([(21.0, 11.0)])
    (tmp_path / "checkpoint.pt").write_bytes(b"a network")
    monkeypatch.setattr(
        box_masks, "load_checkpoint_network", lambda path, device: (network, config(), [{"id": 1, "name": "thing"}])
    )
    write(tmp_path, content())
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for name in ("b.png", "deep/a.png", "c.png"):
        Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(tmp_path / "photos" / name)
    return network
