"""Read JSON files strictly; tell numbers from look-alikes, and quote values of any size in messages."""

import hashlib
import json
import reprlib
from collections import Counter
from pathlib import Path
from typing import Any

MAX_DEPTH = 50  # levels of lists and objects; COCO needs six, and Python fails on about a thousand
FARTHEST = 2**31  # px; no coordinate is larger, and integers beyond it may overflow in the libraries behind us

_quote = reprlib.Repr()
_quote.maxlevel, _quote.maxlist, _quote.maxdict = 3, 8, 4
_quote.maxstring = _quote.maxother = 80


def read_json(path: Path) -> tuple[Any, bytes]:
    """Content and SHA-256 of a JSON file (UTF-8, also with a byte order mark).

    Raises:
        ValueError: if the file cannot be read, is empty, not UTF-8, not valid JSON, nested too deeply, or an object
            has a key twice, of which Python would drop one without a word.
    """
    try:
        text = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ValueError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not text.strip():
        raise ValueError(f"{path}: is empty, expected JSON")
    too_deep = f"{path}: lists or objects are nested too deeply, expected at most {MAX_DEPTH} levels"
    try:
        content = json.loads(text, object_pairs_hook=_unique_keys)
    except RecursionError as error:
        raise ValueError(too_deep) from error
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at position {error.start}"
        raise ValueError(f"{path}: not valid JSON: {found} is not UTF-8; save the file as UTF-8") from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if _is_deeper(content, MAX_DEPTH):
        raise ValueError(too_deep)
    return content, hashlib.sha256(text).digest()


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


def is_integer(value: Any, low: int, high: int) -> bool:
    """Whether a value is an integer from `low` to `high`; true and 7.0 are none."""
    return type(value) is int and low <= value <= high


def is_number(value: Any) -> bool:
    """Whether a value is a finite number below FARTHEST in size; true is none."""
    return type(value) in (int, float) and -FARTHEST < value < FARTHEST


def shown(value: Any) -> str:
    """A value as messages quote it: on one line, printable, and cut where it is long or nested deeply."""
    return _quote.repr(value)
