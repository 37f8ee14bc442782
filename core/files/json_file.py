"""Read JSON files, damaged or edited ones too: whatever is wrong is a ValueError that names the file."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.files.shown import shown

MAX_DEPTH = 50  # levels of lists and objects; COCO needs six, and Python fails on about a thousand


def read_utf8(path: Path) -> str:
    """The text of a file.

    Raises:
        ValueError: if it cannot be read or is not UTF-8; names the file.
    """
    try:
        return _read(path).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8, expected text; the file is damaged") from error


def parse_json(text: str, path: Path) -> Any:
    """The value of the JSON text of a file of ours, whose numbers are finite (JSON has no NaN or Infinity).

    Raises:
        ValueError: as `read_json`, and for NaN, Infinity and half of a character; names the file.
    """
    content = _parsed(text, path, parse_constant=_refuse)
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{path}: not valid JSON: half of a character, {error.object[error.start]!a}") from error
    return content


def read_json(path: Path) -> tuple[Any, bytes]:
    """Content and SHA-256 of a JSON file (UTF-8, also with a byte order mark).

    Raises:
        ValueError: if the file cannot be read, is empty, not UTF-8, not valid JSON, nested too deeply, or an object
            has a key twice, of which Python would drop one without a word.
    """
    text = _read(path)
    return _parsed(text, path), hashlib.sha256(text).digest()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ValueError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error


def _parsed(text: str | bytes, path: Path, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    if not text.strip():
        raise ValueError(f"{path}: is empty, expected JSON")
    too_deep = f"{path}: lists or objects are nested too deeply, expected at most {MAX_DEPTH} levels"
    try:
        content = json.loads(text, object_pairs_hook=_unique_keys, parse_constant=parse_constant)
    except RecursionError as error:
        raise ValueError(too_deep) from error
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at position {error.start}"
        raise ValueError(f"{path}: not valid JSON: {found} is not UTF-8; save the file as UTF-8") from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if _is_deeper(content, MAX_DEPTH):
        raise ValueError(too_deep)
    return content


def _is_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested in more than this number of levels."""
    if type(value) not in (dict, list):
        return False
    parts = value.values() if isinstance(value, dict) else value
    if {dict, list}.isdisjoint(map(type, parts)):  # most of them: fast
        return levels == 0
    return levels == 0 or any(_is_deeper(part, levels - 1) for part in parts)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        repeated = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
        raise ValueError(f"key {shown(repeated[0])} appears more than once in {shown(content)}, expected once")
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"found {constant}, expected a finite number or null")
