"""A checkpoint is gone on from by the training that wrote it; others are told what differs."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from core.checkpoints.checkpoint import OtherLengthError, load_checkpoint, load_trained, save_checkpoint
from core.config import Config
from core.config.file import build_config
from core.files.sealed import SealingFile
from core.files.tensors import write_torch_file

STATE = {"model": {"w": torch.ones(2)}, "curves": [{"epoch": 1}]}


def config(**sections: Any) -> Config:
    return build_config(sections, "test")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "checkpoint.pt", STATE, config=config(), seed=0, data_digest="d")
    return tmp_path / "checkpoint.pt"


def load(path: Path, *, seed: int = 0, data_digest: str = "d", **sections: Any) -> dict[str, Any]:
    return load_checkpoint(path, config=config(**sections), seed=seed, data_digest=data_digest, device="cpu")


def rewritten(path: Path, **parts: Any) -> None:
    """Replace parts of a checkpoint; None leaves one out."""
    content = torch.load(path, weights_only=True) | parts
    write_torch_file(path, {name: part for name, part in content.items() if part is not None})


def test_the_state_comes_back_and_nothing_lies_beside_the_file(path: Path) -> None:
    state = load(path)
    assert state["model"]["w"].tolist() == [1, 1]
    assert state["curves"] == [{"epoch": 1}]
    assert list(path.parent.iterdir()) == [path]


def test_it_may_lie_and_be_called_otherwise(path: Path) -> None:
    load(path, name="other", data={"root": "elsewhere"})
    weights = {"backbone": {"weights": "weights/R-50.pkl"}}
    save_checkpoint(path, STATE, config=config(model=weights), seed=0, data_digest="d")
    load(path, model={"backbone": {"weights": "/mnt/R-50.pkl"}})


def test_of_another_config_only_the_settings_that_differ_are_told(path: Path) -> None:
    with pytest.raises(ValueError, match="written for another config") as refused:
        load(path, loss={"dice": 0.5}, training={"steps": 7})
    differences = "loss.dice is 1.0 instead of 0.5, training.steps is 90000 instead of 7"
    assert str(refused.value) == f"{path}: written for another config: {differences}; delete it to start over"


def test_another_length_alone_is_the_callers_to_judge(path: Path) -> None:
    shorter = config(training={"steps": 7})
    asked: list[tuple] = []
    identity = {"config": shorter, "seed": 0, "data_digest": "d"}

    def judged(answer: bool) -> dict[str, Any]:
        return load_checkpoint(path, **identity, device="cpu", continues=lambda *given: asked.append(given) or answer)

    assert judged(True)["curves"] == [{"epoch": 1}]
    with pytest.raises(OtherLengthError, match=r"checkpoint\.pt: of a training of 90000 steps, expected 7 steps\."):
        judged(False)
    assert [(training.steps, state["curves"]) for training, state in asked] == [(90000, [{"epoch": 1}])] * 2


@pytest.mark.parametrize(("found", "expected", "message"), [
    (None, "a", "this training did not start from a checkpoint; --from starts a new one, expected another --folder"),
    ("a", None, r"this training started from a checkpoint \(SHA-256 a\.\.\.\), expected the same --from"),
    ("a", "b", r"started from another checkpoint than --from: its SHA-256 is b\.\.\., expected a\.\.\."),
])  # fmt: skip
def test_another_start_is_told(path: Path, found: str | None, expected: str | None, message: str) -> None:
    identity = {"config": config(), "seed": 0, "data_digest": "d"}
    save_checkpoint(path, STATE, **identity, start=found)
    load_checkpoint(path, **identity, start=found, device="cpu")
    with pytest.raises(ValueError, match=message):
        load_checkpoint(path, **identity, start=expected, device="cpu")


@pytest.mark.parametrize(("identity", "message"), [
    ({"seed": 1}, "written for another seed: found 0, expected 1"),
    ({"data_digest": "e"}, "written for another data_digest: found 'd', expected 'e'"),
])  # fmt: skip
def test_another_seed_or_data_set_is_told(path: Path, identity: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf"checkpoint\.pt: {message}; delete it to start over$"):
        load(path, **identity)


@pytest.mark.parametrize(("parts", "message"), [
    ({"config": None}, "checkpoint lacks config, expected config, seed, data_digest, state"),
    ({"seed": None, "state": None}, "checkpoint lacks seed, state, expected config"),
    ({"config": "{"}, r"config is '\{', expected settings as JSON"),
    ({"config": 3}, "config is 3, expected settings as JSON"),
    ({"config": "[]"}, r"config is '\[\]', expected settings as JSON"),
    ({"state": [1]}, r"state is \[1\], expected a dict of tensors and numbers"),
    ({"seed": "0"}, "seed '0' and data_digest 'd', expected an integer and text"),
    ({"format": 3}, "expected a checkpoint of format 2, found 3"),
    ({"format": None}, "not a checkpoint of this program"),
    ({"format": 1}, "format 1, of an earlier version, has no SHA-256 that would show damage, expected format 2"),
])  # fmt: skip
def test_a_file_that_lacks_a_part_is_told_to_both_readers(path: Path, parts: dict[str, Any], message: str) -> None:
    rewritten(path, **parts)
    with pytest.raises(ValueError, match=rf"checkpoint\.pt: {message}.*; delete it to start over$"):
        load(path)
    with pytest.raises(ValueError, match=rf"checkpoint\.pt: {message}"):
        load_trained(path, "cpu")


def test_every_flipped_bit_is_refused_by_both_readers(path: Path) -> None:
    whole, random = path.read_bytes(), Random(0)
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        path.write_bytes(damaged)
        for read in (load, lambda path: load_trained(path, "cpu")):
            with pytest.raises(ValueError, match=r"checkpoint\.pt: damaged"):
                read(path)


def test_a_checkpoint_whose_seal_is_gone_is_refused(path: Path) -> None:
    torch.save(torch.load(path, weights_only=True), path)
    with pytest.raises(ValueError, match="damaged: the SHA-256 of its content is missing at its end; delete it to"):
        load(path)


def test_a_full_disk_is_told_with_the_file_and_leaves_the_checkpoint_before_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SealingFile, "write", lambda file, data: Path("/dev/full").write_bytes(data))
    with pytest.raises(OSError, match="No space left on device") as refused:
        save_checkpoint(path, STATE, config=config(), seed=1, data_digest="d")
    assert refused.value.filename == str(path)
    monkeypatch.undo()
    load(path)


def test_a_trained_network_comes_with_its_config(path: Path) -> None:
    save_checkpoint(path, STATE, config=config(loss={"dice": 0.5}), seed=0, data_digest="d")
    found, state = load_trained(path, "cpu")
    assert found == config(loss={"dice": 0.5})
    assert state["curves"] == [{"epoch": 1}]


def test_a_config_of_another_version_is_told_with_the_file_and_the_setting(path: Path) -> None:
    rewritten(path, config='{"loss": {"dicee": 1}}')
    with pytest.raises(ValueError, match=r"checkpoint\.pt: config: unknown key 'loss\.dicee' \(did you mean"):
        load_trained(path, "cpu")
