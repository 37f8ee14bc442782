"""Facts in a file: found out once, again when what they depend on changes, and never read from a damaged file."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from core.config import Frozen
from experiments.planning.remembered import Remembered


class Length(Frozen):
    meters: int


def lengths(path: Path | None, *of: object) -> list[bool]:
    """Whether each of these was found out anew."""
    remembered, new = Remembered(path), []
    for thing in of:
        find_out = Mock(return_value=Length(meters=len(str(thing))))
        assert remembered.fact(Length, [thing], find_out) == Length(meters=len(str(thing)))
        new.append(find_out.called)
    remembered.save()
    return new


def test_a_fact_is_found_out_once(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    assert lengths(path, "a", "b", "a") == [True, True, False]
    assert lengths(path, "a", "c") == [False, True]
    assert lengths(path, "a", "b", "c") == [False] * 3
    assert lengths(None, "a") == [True]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"x": 1}', b"\xff"])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert lengths(path, "a") == [True]
    assert lengths(path, "a") == [False]


def test_a_value_that_is_none_is_found_out_again(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    lengths(path, "a")
    path.write_text(path.read_text().replace("1", '"long"'))
    assert lengths(path, "a") == [True]


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert lengths(tmp_path / "file" / "facts.json", "a") == [True]
