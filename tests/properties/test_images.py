"""Any file in place of a photo is refused by name, or sampled as a photo."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.images import FORMATS, Images
from tests.properties.files import check_refused_or_used, damaged_bytes


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Images:
    return Images(tmp_path_factory.mktemp("shared"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("photos") / "photo.png"


@given(number=st.integers(0, 2 * len(FORMATS) - 1), as_stored=st.booleans(), data=st.data())
@settings(max_examples=150)
def test_of_damaged_bytes(kind: Images, path: Path, number: int, as_stored: bool, data: Any) -> None:
    path.write_bytes(data.draw(damaged_bytes(kind.files[number])))
    kind.annotated_as_stored = as_stored
    check_refused_or_used(kind, path)


@given(content=st.binary(max_size=100))
@settings(max_examples=50)
def test_of_any_bytes(kind: Images, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    check_refused_or_used(kind, path)
