"""YAML as files of settings use it: what the values of a text are, and what is refused and where."""

import time

import pytest

from core.config.plain_yaml import DEEPEST, parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-12", -12),
        ("1e-3", 0.001),  # text in YAML 1.1, for want of a point
        ("1E+9", 1e9),
        (".5", 0.5),
        ("2.0e-3", 0.002),
        ("true", True),
        ("no", "no"),  # false in YAML 1.1
        ("on", "on"),
        ("1:30", "1:30"),  # 90 in YAML 1.1
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("2026-01-01", "2026-01-01"),  # a date in YAML 1.1
        ("~", None),
        ("", None),
        ("'010'", "010"),
        ('"\\ud83d\\ude42"', "🙂"),  # as JSON writes it
        ("{1: a, on: b, null: c}", {"1": "a", "on": "b", "null": "c"}),  # a key is its text
        ("{<<: {a: 1}}", {"<<": {"a": 1}}),
    ],
)
def test_a_value_is_what_yaml_1_2_says(text: str, value: object) -> None:
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", r"line 2, column 1: duplicate key 'a'"),
        ("{1: a, '1': b}", "duplicate key '1'"),
        ("[1, 2]: a", "line 1, column 1: found a list or a mapping as a key, expected text"),
        ("a: &x [1]\nb: *x", r"line 2, column 4: found the alias \*x, expected the value itself"),
        ("a: !!python/object:os.system []", "found the tag tag:yaml.org,2002:python"),
        ("a: !!set {b}", "found the tag tag:yaml.org,2002:set, expected a value without a tag"),
        ("a: 010", "line 1, column 4: found '010', octal in YAML 1.1"),
        ("a: .nan", "found '.nan', expected a finite number"),
        ("a: -.inf", "expected a finite number"),
        ("a: 1e400", "found '1e400', expected a finite number"),
        ("a: " + "9" * 19, "expected a whole number of at most 18 digits"),
        ("a" * 300 + ": 1", "has 300 characters, expected at most 200"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), f"line 1, column {DEEPEST + 1}: nested more than {DEEPEST} levels"),
        ('a: "\\0"', r"found the character '\\x00' in a text"),
        ('a: "\\ud800"', r"found the character '\\ud800' in a text"),
        ("a: \0", "special characters are not allowed"),
        ("a: b\n---\nc: d", "expected a single document"),
        ('a: "\\UFFFFFFFF"', "too large|not in range"),
        ("a: [", "line 1, column 5: while parsing a flow node, expected the node content"),
    ],
)
def test_what_a_file_of_settings_does_not_need_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_yaml(text)


def test_the_deepest_nesting_is_read() -> None:
    value = parse_yaml("[" * DEEPEST + "]" * DEEPEST)
    for _ in range(DEEPEST - 1):
        (value,) = value
    assert value == []


def test_aliases_that_would_expand_to_a_billion_values_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    started = time.process_time()
    with pytest.raises(ValueError, match=r"alias \*a0"):
        parse_yaml("\n".join(lines))
    assert time.process_time() - started < 1
