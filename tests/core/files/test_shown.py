"""Values in messages stay short and printable."""

import json

from core.files.shown import shown


def test_a_shown_value_is_short_and_printable() -> None:
    deep: list = []
    for _ in range(900):
        deep = [deep]
    for value in ("x" * 10_000, "\ud800\0\n", deep, list(range(10_000)), 10**400, {str(i): i for i in range(100)}):
        text = shown(value)
        assert len(text) < 120
        assert text.isprintable()
    assert shown([1, 2.5, None, "a"]) == json.dumps([1, 2.5, None, "a"]).replace("null", "None").replace('"', "'")
