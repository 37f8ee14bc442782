"""Conversion between settings by dotted name, such as `loss.dice`, and nested settings."""

from collections.abc import Mapping
from typing import Any

from core.config.file import merge


def leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to values by dotted name, in order; a list is one value."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def nested(difference: Mapping[str, Any]) -> dict[str, Any]:
    """Expand dotted names to sections: `{"loss.dice": 0}` becomes `{"loss": {"dice": 0}}`; nested input is kept."""
    result: dict[str, Any] = {}
    for name, value in difference.items():
        value = nested(value) if isinstance(value, dict) else value
        for part in reversed(str(name).split(".")):
            value = {part: value}
        result = merge(result, value)
    return result
