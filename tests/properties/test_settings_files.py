"""Any file of settings is refused by name, or a sweep and a report work with it; YAML is read as it is written."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config.plain_yaml import parse_yaml
from core.config.recipe import changes_of
from tests.fuzz.mutations import as_json
from tests.fuzz.settings import OWN, Settings
from tests.fuzz.snippets import SNIPPETS
from tests.properties.files import check_refused_or_used, damaged_bytes, damaged_trees

names = st.sampled_from(sorted(OWN))
printable = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=20)
plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**18) + 1, 10**18 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | printable,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(printable, values, max_size=4),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def kind(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(tmp_path_factory.mktemp("shared"))


@given(name=names, data=st.data())
@settings(max_examples=60)
def test_of_wrong_content(kind: Settings, tmp_path_factory: pytest.TempPathFactory, name: str, data: Any) -> None:
    content = as_json(data.draw(damaged_trees(yaml.safe_load(OWN[name]))))
    check_refused_or_used(kind, kind.put(name, content, tmp_path_factory.getbasetemp()))


@given(name=names, data=st.data())
@settings(max_examples=40)
def test_of_damaged_bytes(kind: Settings, tmp_path_factory: pytest.TempPathFactory, name: str, data: Any) -> None:
    content = data.draw(damaged_bytes(OWN[name].encode()))
    check_refused_or_used(kind, kind.put(name, content, tmp_path_factory.getbasetemp()))


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_snippet_at_the_end_of_a_file(kind: Settings, tmp_path: Path, name: str) -> None:
    for snippet in SNIPPETS:
        content = f"{OWN[name]}question: {snippet}\n".encode(errors="surrogatepass")
        check_refused_or_used(kind, kind.put(name, content, tmp_path))


@given(text=st.text(max_size=200) | st.sampled_from(SNIPPETS))
@settings(max_examples=200)
def test_of_any_text_yaml_is_json_values_or_a_value_error(text: str) -> None:
    try:
        content = parse_yaml(text)
    except ValueError:
        return
    assert json.loads(json.dumps(content, allow_nan=False)) == content


@given(value=plain_values)
@settings(max_examples=200)
def test_what_json_writes_is_read_as_it_was(value: Any) -> None:
    assert parse_yaml(json.dumps(value)) == value


@given(value=st.text(max_size=50) | st.sampled_from(SNIPPETS))
@settings(max_examples=100)
def test_a_change_on_the_command_line_is_refused_by_its_option(value: str) -> None:
    try:
        changes_of([f"loss.dice={value}"])
    except ValueError as error:
        if not str(error).startswith("--set"):
            raise
