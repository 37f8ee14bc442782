"""Strategies that damage valid files, and the property that all readers share."""

import copy
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.kind import Kind
from tests.fuzz.mutations import places
from tests.fuzz.outcome import REFUSED, refusal
from tests.fuzz.values import VALUES

LONGEST_INSERTION = 16  # bytes

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=8,
)


@st.composite
def damaged_trees(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with one or two values replaced, removed or repeated."""
    root = [copy.deepcopy(tree)]
    for _ in range(draw(st.integers(1, 2))):
        found = places(root)
        parent, key = found[draw(st.integers(0, len(found) - 1))]
        match draw(st.sampled_from(("replace", "replace", "remove", "repeat"))):
            case "remove" if parent is not root:
                del parent[key]
            case "repeat" if isinstance(parent, list) and parent is not root:
                parent.insert(key, copy.deepcopy(parent[key]))
            case _:
                parent[key] = draw(st.sampled_from(VALUES) | json_values)
    return root[0]


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """The bytes with a few of them replaced, inserted or cut out; they may be the same."""
    start = draw(st.integers(0, len(content)))
    end = draw(st.sampled_from((start, start + 1, start + LONGEST_INSERTION, len(content))))
    return content[:start] + draw(st.binary(max_size=LONGEST_INSERTION)) + content[end:]


def flipped(content: bytes, bit: int) -> bytes:
    """The bytes with one bit, numbered from the first byte's lowest, turned over."""
    damaged = bytearray(content)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def bits(content: bytes) -> st.SearchStrategy[int]:
    return st.integers(0, 8 * len(content) - 1)


def check_refused_or_used(kind: Kind, path: Path) -> None:
    """The property: the file is refused by a ValueError that names it, or everything that follows works."""
    try:
        content = kind.read(path)
    except Exception as error:
        if refusal(error, path.name) != REFUSED:
            raise
    else:
        kind.use(content)
