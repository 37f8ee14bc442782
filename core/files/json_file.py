"""Read JSON files of ours, damaged or edited ones too: whatever is wrong is a ValueError that names the file."""

import json
from pathlib import Path
from typing import Any


def read_utf8(path: Path) -> str:
    """The text of a file.

    Raises:
        ValueError: if it cannot be read or is not UTF-8; names the file.
    """
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8, expected text; the file is damaged") from error


def parse_json(text: str, path: Path) -> Any:
    """The value of the JSON text of a file. NaN and Infinity, which JSON does not have, are refused.

    Raises:
        ValueError: if it is not JSON; names the file.
    """
    try:
        content = json.loads(text, parse_constant=_refuse)
        json.dumps(content, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError(f"{path}: not valid JSON: nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"{path}: not valid JSON: half of a character, {error.object[error.start]!a}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    return content


def _refuse(constant: str) -> None:
    raise ValueError(f"found {constant}, expected a finite number or null")
