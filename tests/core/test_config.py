"""Settings: unknown keys name the nearest real field, values out of range name themselves."""

import pytest
from pydantic import ValidationError

from core.config import Config, build_config, field_paths, merge, nearest, read_yaml


def test_defaults_are_the_released_boxinst() -> None:
    config = Config()
    assert config.model.mask_feature_channels == 16
    assert config.loss.color_threshold == 0.3
    assert round(config.loss.pairwise_warmup * config.training.steps) == 10_000
    assert config.model.strides == (8, 16, 32, 64, 128)


def test_an_unknown_key_names_the_nearest_field_and_its_source() -> None:
    with pytest.raises(
        ValueError, match=r"mine\.yaml: unknown key 'loss\.color_treshold' \(did you mean 'loss\.color_threshold'\?\)"
    ):
        build_config({"loss": {"color_treshold": 0.1}}, "mine.yaml")


def test_a_key_in_the_wrong_section_is_found_by_its_last_part() -> None:
    assert nearest("training.color_threshold", field_paths()) == " (did you mean 'loss.color_threshold'?)"


def test_a_name_like_nothing_else_suggests_nothing() -> None:
    assert nearest("zzzz", field_paths()) == ""


def test_a_value_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"loss\.color_threshold.*found 1\.5"):
        build_config({"loss": {"color_threshold": 1.5}}, "x")


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().name = "other"


def test_size_boundaries_must_fit_the_levels() -> None:
    with pytest.raises(ValueError, match="size_boundaries has 4 entries, expected 2"):
        build_config({"model": {"levels": [3, 4, 5]}}, "x")


def test_either_steps_or_epochs() -> None:
    with pytest.raises(ValueError, match="expected exactly one"):
        build_config({"training": {"epochs": 3}}, "x")


def test_merge_replaces_leaves_and_keeps_its_inputs() -> None:
    base = {"loss": {"dice": 1.0, "pairwise": 1.0}}
    assert merge(base, {"loss": {"pairwise": 0.0}}) == {"loss": {"dice": 1.0, "pairwise": 0.0}}
    assert base == {"loss": {"dice": 1.0, "pairwise": 1.0}}


@pytest.mark.parametrize(
    ("text", "message"),
    [("[1, 2]", "expected a mapping"), ("a: [", "not valid YAML"), ("a: 1\na: 2", "the key 'a' stands twice")],
)
def test_a_file_that_is_no_mapping_is_named(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"bad\.yaml.*{message}"):
        read_yaml(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"gone\.yaml: cannot be read"):
        read_yaml(tmp_path / "gone.yaml")
