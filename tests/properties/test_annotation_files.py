"""Any annotation file is refused by name, or a training and an evaluation work with it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.annotations import ARMS, FILE, Annotations, valid_content
from tests.fuzz.mutations import as_json
from tests.properties.files import check_refused_or_used, damaged_bytes, damaged_trees

arms = st.integers(0, len(ARMS) - 1)


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Annotations:
    return Annotations(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def path(kind: Annotations, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    kind.link_photos(folder)
    return folder / FILE


@given(content=damaged_trees(valid_content()), arm=arms)
@settings(max_examples=60)
def test_of_wrong_content(kind: Annotations, path: Path, content: Any, arm: int) -> None:
    path.write_bytes(as_json(content))
    kind.arm = arm
    check_refused_or_used(kind, path)


@given(content=damaged_bytes(as_json(valid_content())), arm=arms)
@settings(max_examples=40)
def test_of_damaged_bytes(kind: Annotations, path: Path, content: bytes, arm: int) -> None:
    path.write_bytes(content)
    kind.arm = arm
    check_refused_or_used(kind, path)
