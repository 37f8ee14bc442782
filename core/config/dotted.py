"""Settings by dotted name, such as `loss.dice`, and the nested settings that the names stand for."""

from collections.abc import Mapping
from typing import Any

from core.config.file import merge


def leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of nested settings by dotted name, in their order; a list is one value."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= leaves(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return flat


def nested(difference: Mapping[str, Any]) -> dict[str, Any]:
    """Spell dotted names out as sections: `{"loss.dice": 0}` becomes `{"loss": {"dice": 0}}`; nested input is kept."""
    result: dict[str, Any] = {}
    for name, value in difference.items():
        value = nested(value) if isinstance(value, dict) else value
        for part in reversed(str(name).split(".")):
            value = {part: value}
        result = merge(result, value)
    return result
