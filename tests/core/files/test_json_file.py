"""Files that are no JSON are named with what is wrong."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from core.files.json_file import parse_json, read_json, read_utf8


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[NaN]", "found NaN, expected a finite number or null"),
        ('["\\ud800"]', "half of a character"),
        ('{"a": 1, "a": 2}', "key 'a' appears more than once"),
    ],
)
def test_files_of_ours_hold_finite_numbers_whole_characters_and_each_key_once(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^r.json: not valid JSON: .*{re.escape(message)}"):
        parse_json(text, Path("r.json"))


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"ab\xff")
    with pytest.raises(ValueError, match=r"a\.csv: byte 2 is not UTF-8"):
        read_utf8(tmp_path / "a.csv")
