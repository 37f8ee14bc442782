"""Reading settings: unknown keys name the nearest real field, files that cannot be read name themselves."""

import pytest

from core.config.file import build_config, field_paths, merge, nearest, read_yaml


def test_an_unknown_key_names_the_nearest_field_and_its_source() -> None:
    with pytest.raises(
        ValueError, match=r"mine\.yaml: unknown key 'loss\.color_treshold' \(did you mean 'loss\.color_threshold'\?\)"
    ):
        build_config({"loss": {"color_treshold": 0.1}}, "mine.yaml")


def test_a_key_in_the_wrong_section_is_found_by_its_last_part() -> None:
    assert nearest("training.color_threshold", field_paths()) == " (did you mean 'loss.color_threshold'?)"


def test_a_name_like_nothing_else_suggests_nothing() -> None:
    assert nearest("zzzz", field_paths()) == ""


def test_merge_replaces_leaves_and_keeps_its_inputs() -> None:
    base = {"loss": {"dice": 1.0, "pairwise": 1.0}}
    assert merge(base, {"loss": {"pairwise": 0.0}}) == {"loss": {"dice": 1.0, "pairwise": 0.0}}
    assert base == {"loss": {"dice": 1.0, "pairwise": 1.0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1, 2]", "expected a mapping"), ("a: [", "not valid YAML"), ("a: 1\na: 2", "duplicate key 'a'")],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"bad\.yaml.*{message}"):
        read_yaml(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"gone\.yaml: cannot be read"):
        read_yaml(tmp_path / "gone.yaml")
