"""YAML as files of settings use it: mappings, lists, text, finite numbers, true, false and null.

PyYAML's safe loader reads YAML 1.1, where `010` is 8, `1e-3` is text, `1:30` is 90 and `no` is false. This one reads
numbers and words as YAML 1.2 does, takes every key as text, and refuses what a file of settings does not need: aliases
(a short text can expand to gigabytes), tags, several documents, and nesting without end.
"""

import math
import re
from typing import Any

import yaml

from core.files.shown import shown

DEEPEST = 32  # nested mappings and lists
MOST_DIGITS = 18  # of a whole number: 64 bits hold it
LONGEST_KEY = 200  # characters; keys become names of files
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # all but tab and line feed; half of a pair
PAIR = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")

NULL, BOOL, INT, FLOAT, TEXT = (f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str"))


def parse_yaml(text: str) -> Any:
    """The content of a YAML text as dicts with text keys, lists, text, numbers, booleans and None.

    Raises:
        ValueError: if it is not valid YAML, or holds what is refused here; names line, column and value.
    """
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(place + ", ".join(part for part in (error.context, error.problem) if part)) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # such as an escape beyond Unicode
        raise ValueError(" ".join(str(error).split())) from error


class _PlainLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 (PyYAML's, by the first character of a value)
    yaml_constructors = {  # noqa: RUF012 (PyYAML's)
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (NULL, BOOL, "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")
    }
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> yaml.Node:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _refused(f"found the alias *{shown(event.anchor)[1:-1]}, expected the value itself", event)
        if getattr(event, "tag", None) is not None:
            raise _refused(f"found the tag {shown(event.tag)[1:-1]}, expected a value without a tag", event)
        if self.depth == DEEPEST:
            raise _refused(f"nested more than {DEEPEST} levels deep", event)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refused("found a list or a mapping as a key, expected text", key_node)
            key = _checked_text(key_node)
            if len(key) > LONGEST_KEY:
                raise _refused(f"key {shown(key)} has {len(key)} characters, expected at most {LONGEST_KEY}", key_node)
            if key in content:
                raise _refused(f"duplicate key {shown(key)}", key_node)
            content[key] = self.construct_object(value_node, deep=deep)
        return content


def _refused(problem: str, where: yaml.Node | yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, where.start_mark)


def _checked_text(node: yaml.ScalarNode) -> str:
    # JSON, which is YAML, writes a character beyond the first 65,536 as two escapes
    text = PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), node.value)
    if found := CONTROL.search(text):
        raise _refused(f"found the character {found[0]!a} in a text, expected none that cannot be printed", node)
    return text


def _whole_number(loader: _PlainLoader, node: yaml.ScalarNode) -> int:
    digits = node.value.lstrip("+-")
    if len(digits) > 1 and digits.startswith("0"):
        raise _refused(f"found {shown(node.value)}, octal in YAML 1.1: expected no leading 0, or quotes", node)
    if len(digits) > MOST_DIGITS:
        raise _refused(f"found {shown(node.value)}, expected a whole number of at most {MOST_DIGITS} digits", node)
    return int(node.value)


def _finite_number(loader: _PlainLoader, node: yaml.ScalarNode) -> float:
    is_word = node.value.lstrip("+-").lower() in (".inf", ".nan")
    if is_word or not math.isfinite(float(node.value)):
        raise _refused(f"found {shown(node.value)}, expected a finite number", node)
    return float(node.value)


_PlainLoader.add_constructor(INT, _whole_number)
_PlainLoader.add_constructor(FLOAT, _finite_number)
_PlainLoader.add_constructor(TEXT, lambda loader, node: _checked_text(node))
_PlainLoader.add_implicit_resolver(NULL, re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_PlainLoader.add_implicit_resolver(BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_PlainLoader.add_implicit_resolver(INT, re.compile(r"[-+]?[0-9]+$"), list("-+0123456789"))
_PlainLoader.add_implicit_resolver(
    FLOAT,
    re.compile(r"([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"),
    list("-+.0123456789"),
)
