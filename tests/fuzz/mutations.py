"""Small random changes to bytes, and to the trees of lists and mappings that JSON and YAML files hold."""

import copy
import json
import math
import re
from random import Random
from typing import Any

from tests.fuzz.values import VALUES

NUM_CHANGES = (1, 1, 2, 3)
LONGEST_RUN = 64  # bytes that one change touches
CHANGED_BYTES = ("flip", "set", "cut", "end", "insert", "repeat", "swap", "zero")
CHANGED_TREES = ("replace", "replace", "replace", "drop", "repeat", "swap", "rename", "wrap", "scale", "text", "add")

Place = tuple[Any, Any]  # a list or a dict, and the index or key in it


def mutated_bytes(draw: Random, content: bytes) -> bytes:
    """One to three changes of a few bytes; the result differs from `content`."""
    mutated = bytearray(content)
    while bytes(mutated) == content:
        for _ in range(draw.choice(NUM_CHANGES)):
            _change_bytes(draw, mutated)
    return bytes(mutated)


def flipped_bit(draw: Random, content: bytes) -> bytes:
    """`content` with a single bit flipped."""
    mutated = bytearray(content)
    mutated[draw.randrange(len(mutated))] ^= 1 << draw.randrange(8)
    return bytes(mutated)


def _change_bytes(draw: Random, content: bytearray) -> None:
    start = draw.randrange(len(content) + 1)
    end = min(start + draw.randint(1, LONGEST_RUN), len(content))
    match draw.choice(CHANGED_BYTES):
        case "flip" if start < len(content):
            content[start] ^= 1 << draw.randrange(8)
        case "set" if start < len(content):
            content[start] = draw.choice((0, 0xFF, 0x80, ord("0"), ord("-"), ord('"'), draw.randrange(256)))
        case "cut":
            del content[start:end]
        case "end":
            del content[start:]
        case "insert":
            content[start:start] = draw.randbytes(draw.randint(1, LONGEST_RUN))
        case "repeat":
            content[start:start] = content[start:end] * draw.randint(1, 8)
        case "swap":
            other = draw.randrange(len(content) + 1)
            first, second = content[start:end], content[other : other + end - start]
            content[start:end] = second
            content[other : other + len(first)] = first
        case "zero":
            content[start:end] = bytes(end - start)


def mutated_tree(draw: Random, tree: Any) -> Any:
    """One to three changes at random places of a tree; `tree` itself is not changed."""
    root = [copy.deepcopy(tree)]
    for _ in range(draw.choice(NUM_CHANGES)):
        _change_tree(draw, root)
    return root[0]


def places(node: Any) -> list[Place]:
    """Every place below a list or a dict, breadth first: the shallow ones before the deep."""
    found: list[Place] = []
    nodes = [node]
    while nodes:
        parent = nodes.pop(0)
        for key in parent if isinstance(parent, dict) else range(len(parent)):
            found.append((parent, key))
            if isinstance(parent[key], dict | list):
                nodes.append(parent[key])
    return found


def _change_tree(draw: Random, root: list) -> None:
    found = places(root)
    # Sometimes among the shallow places only: otherwise nearly every change would hit a number of a long list.
    parent, key = draw.choice(found[: draw.choice((8, 40, len(found), len(found), len(found)))])
    value = parent[key]
    match draw.choice(CHANGED_TREES):
        case "replace":
            parent[key] = copy.deepcopy(draw.choice(VALUES))
        case "drop" if parent is not root:
            del parent[key]
        case "repeat" if isinstance(parent, list) and parent is not root:
            parent[key:key] = [copy.deepcopy(value)] * draw.randint(1, 3)
        case "swap":
            other, place = draw.choice(found)
            parent[key], other[place] = copy.deepcopy(other[place]), copy.deepcopy(value)
        case "rename" if isinstance(parent, dict):
            parent[_other_name(draw, str(key))] = parent.pop(key)
        case "wrap":
            parent[key] = [value] if draw.random() < 0.5 else {"value": value}
        case "scale" if isinstance(value, int | float):
            parent[key] = _scaled(draw, value)
        case "text":
            parent[key] = str(value)
        case "add":
            target = value if isinstance(value, dict | list) else parent
            if isinstance(target, dict):
                target[_other_name(draw, str(key))] = copy.deepcopy(draw.choice(VALUES))
            elif target is not root:
                target.append(copy.deepcopy(draw.choice(VALUES)))


def _scaled(draw: Random, number: float) -> float:
    factor = draw.choice((-1, 0, 0.5, 2, 1.5, 10, 1000, 1e6, 1e9, 1e12, 1e18, 1e-9))
    scaled = number * factor + draw.choice((0, 0, 1, -1, 0.5))
    if isinstance(number, int) and math.isfinite(scaled) and draw.random() < 0.8:
        return int(scaled)
    return scaled


def _other_name(draw: Random, name: str) -> str:
    return draw.choice((name.upper(), name + "s", name[:-1], "", " ", "é" * 20, name + "\0", "x" * 300, "__proto__"))


def as_json(tree: Any) -> bytes:
    """The tree as JSON; text of the form `<<...>>` (see `values.py`) stands for what JSON's writer cannot write."""
    text = json.dumps(tree, indent=None, default=str)
    return re.sub(r'"<<(.*?)>>"', lambda found: found[1].replace('\\"', '"'), text).encode()
