"""Any checkpoint is refused by name, or works; one with a flipped bit is always refused."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.checkpoints.checkpoint import save_checkpoint
from tests.fuzz.checkpoints import Checkpoints
from tests.properties.files import bits, check_refused_or_used, damaged_bytes, flipped

OURS = ("resume", "annotate", "evaluate")


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    return Checkpoints(tmp_path_factory.mktemp("shared") / "checkpoints")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training") / "checkpoint.pt"


@given(use=st.sampled_from(OURS), data=st.data())
@settings(max_examples=40)
def test_a_flipped_bit_is_refused_by_name(kind: Checkpoints, path: Path, use: str, data: Any) -> None:
    path.write_bytes(flipped(kind.file, data.draw(bits(kind.file))))
    kind.use_of = use
    with pytest.raises(ValueError, match=r"checkpoint\.pt"):
        kind.read(path)


@given(use=st.sampled_from(OURS), data=st.data())
@settings(max_examples=20)
def test_damaged_bytes_are_refused_by_name(kind: Checkpoints, path: Path, use: str, data: Any) -> None:
    content = data.draw(damaged_bytes(kind.file))
    path.write_bytes(content)
    kind.use_of, kind.damaged = use, content != kind.file
    check_refused_or_used(kind, path)


@given(use=st.sampled_from(OURS), draw=st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_a_state_that_does_not_fit_is_refused_by_name(kind: Checkpoints, path: Path, use: str, draw: Any) -> None:
    save_checkpoint(path, kind.mutated(draw, kind.state), **kind.identity)
    kind.use_of, kind.damaged = use, False
    check_refused_or_used(kind, path)
