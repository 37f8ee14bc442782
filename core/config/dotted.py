"""Conversion between settings by dotted name, such as `loss.dice`, and nested settings."""

from collections.abc import Mapping
from typing import Any

from core.config.file import merge
from core.files.shown import shown

MOST_PARTS = 8  # of a dotted name


def leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to values by dotted name, in order; a list is one value."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def nested(difference: Mapping[str, Any]) -> dict[str, Any]:
    """Expand dotted names to sections: `{"loss.dice": 0}` becomes `{"loss": {"dice": 0}}`; nested input is kept.

    Raises:
        ValueError: for a name of more than MOST_PARTS parts, far more than any setting has.
    """
    result: dict[str, Any] = {}
    for name, value in difference.items():
        value = nested(value) if isinstance(value, dict) else value
        parts = str(name).split(".")
        if len(parts) > MOST_PARTS:
            raise ValueError(f"unknown key {shown(name)}: a name of {len(parts)} parts, expected at most {MOST_PARTS}")
        for part in reversed(parts):
            value = {part: value}
        result = merge(result, value)
    return result
