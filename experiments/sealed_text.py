"""The text of sealed records, written and checked as text: a tenth of the time that `Record.sealed` takes.

A seal is the last field of a record's file: the SHA-256 of the text without it.
"""

import json
from hashlib import sha256
from typing import Any

from core.record import Record

SEAL, END = ',\n "sha256": "', "\n}"


def sealed_text(record: Record) -> str:
    """The same text as `record.sealed().to_json()`."""
    if record.model_extra or record.sha256 is not None:  # then the seal is not the last field
        return record.sealed().to_json()
    text = record.to_json().removesuffix(END)
    return f'{text}{SEAL}{_digest(text)}"{END}'


def sealed_content(text: str) -> dict[str, Any] | None:
    """The content of a record's file if its seal fits, so that it is as it was written; None if not."""
    open_text, mark, seal = text.rpartition(SEAL)
    return json.loads(text) if mark and seal == f'{_digest(open_text)}"{END}' else None


def _digest(text: str) -> str:
    return sha256((text + END).encode()).hexdigest()
