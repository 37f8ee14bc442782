"""Any record is refused by name, or reports work with it; a store takes nothing that was changed."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.store import Store
from tests.fuzz.mutations import as_json
from tests.fuzz.records import EXAMPLE, Records
from tests.properties.files import bits, check_refused_or_used, damaged_bytes, damaged_trees, flipped

CONTENT = json.loads(EXAMPLE.read_text())


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Records:
    return Records(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trials") / "record.json"


@given(content=damaged_trees(CONTENT))
@settings(max_examples=100)
def test_of_wrong_content(kind: Records, path: Path, content: Any) -> None:
    path.write_bytes(as_json(content))
    check_refused_or_used(kind, path)


@given(content=damaged_bytes(EXAMPLE.read_bytes()))
@settings(max_examples=100)
def test_of_damaged_bytes(kind: Records, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    check_refused_or_used(kind, path)


@given(data=st.data())
@settings(max_examples=100)
def test_a_store_takes_no_trial_with_a_flipped_bit(kind: Records, tmp_path_factory: Any, data: Any) -> None:
    key, files = kind.stored[0]
    name = data.draw(st.sampled_from(sorted(files)))
    damaged = files | {name: flipped(files[name], data.draw(bits(files[name])))}
    root = tmp_path_factory.getbasetemp() / "store"
    for path, content in damaged.items():
        (root / key / path).parent.mkdir(parents=True, exist_ok=True)
        (root / key / path).write_bytes(content)
    assert Store(root).finished(key) is None
