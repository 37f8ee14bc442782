"""Files that are no JSON are named with what is wrong; values in messages stay short and printable."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from core.datasets.json_file import is_integer, is_number, read_json, shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "is empty, expected JSON"),
        (b" \n", "is empty, expected JSON"),
        (b'{"a": [1, 2', "not valid JSON: Expecting ',' delimiter: line 1"),
        (b'{"a": 1}}', "not valid JSON: Extra data: line 1 column 9"),
        ('{"a": "\u00e4"}'.encode("latin-1"), "not valid JSON: byte 0xe4 at position 7 is not UTF-8"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b'{"a": ' * 5_000, "nested too deeply"),
        (b'{"a": [' * 26 + b"]}" * 26, "nested too deeply, expected at most 50 levels"),
        (b'{"id": 1, "box": 2, "id": 3}', "key 'id' appears more than once in {'box': 2, 'id': 3}, expected once"),
        (b'[{"a": {"b": 1, "b": 1}}]', "key 'b' appears more than once"),
        (b"9" * 5_000, "not valid JSON: Exceeds the limit"),
    ],
)
def test_what_is_no_json_is_named_with_its_file(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: ')}.*{re.escape(message)}"):
        read_json(path)


@pytest.mark.parametrize("name", ["missing.json", "x" * 300, "zero\0byte", "."])
def test_what_is_no_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read \(.+\)"):
        read_json(tmp_path / name)


def test_content_and_digest_are_those_of_the_bytes(tmp_path: Path) -> None:
    for text in (b'{"a": [1, 2.5, null]}', b'\xef\xbb\xbf{"a": [1, 2.5, null]}'):  # with a byte order mark
        (tmp_path / "a.json").write_bytes(text)
        assert read_json(tmp_path / "a.json") == ({"a": [1, 2.5, None]}, hashlib.sha256(text).digest())


def test_fifty_levels_are_taken(tmp_path: Path) -> None:
    text = b'{"a": [' * 25 + b"1, 2" + b"]}" * 25
    (tmp_path / "a.json").write_bytes(text)
    assert json.dumps(read_json(tmp_path / "a.json")[0]).encode() == text


def test_numbers_are_told_from_their_look_alikes() -> None:
    assert [is_integer(value, 0, 7) for value in (0, 7, 8, -1, True, 7.0, "7", None)] == [True, True] + [False] * 6
    numbers, others = (0, -1.5, 1e-300, 2**31 - 1), (True, "1", None, [1], 2**31, 10**400, float("nan"), float("-inf"))
    assert all(map(is_number, numbers))
    assert not any(map(is_number, others))


def test_a_shown_value_is_short_and_printable() -> None:
    deep: list = []
    for _ in range(900):
        deep = [deep]
    for value in ("x" * 10_000, "\ud800\0\n", deep, list(range(10_000)), 10**400, {str(i): i for i in range(100)}):
        text = shown(value)
        assert len(text) < 120
        assert text.isprintable()
    assert shown([1, 2.5, None, "a"]) == json.dumps([1, 2.5, None, "a"]).replace("null", "None").replace('"', "'")
