"""Reading settings: unknown keys name the nearest real field, files that cannot be read name themselves."""

import pytest

from core.config.file import LARGEST, build_config, field_paths, merge, nearest, read_yaml


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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: é".encode("latin-1"), r"not UTF-8 text \(byte 0xe9 at position 3\); save it as UTF-8"),
        ("a: 1".encode("utf-16"), "not UTF-8 text"),
        (b"a: \0", "not valid YAML: .*special characters are not allowed"),
        (b"a: " + b"x" * LARGEST, "more than 100,000 bytes, expected a file of settings"),
        (b"", "expected a mapping of settings, found nothing"),
    ],
)
def test_a_file_that_is_no_text_of_settings_is_named(tmp_path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad\.yaml: {message}"):
        read_yaml(path)


def test_a_mark_of_byte_order_is_no_part_of_the_first_key(tmp_path) -> None:
    path = tmp_path / "windows.yaml"
    path.write_bytes("a: é\r\nb: 2\r\n".encode("utf-8-sig"))
    assert read_yaml(path) == {"a": "é", "b": 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"training": {"steps": True}}, "training.steps: .*found True"),
        ({"training": {"steps": "5"}}, "training.steps: .*found '5'"),
        ({"training": {"steps": 5.0}}, "training.steps: .*found 5.0"),
        ({"training": {"steps": 10**12}}, "training.steps: .*less than or equal to 1000000000"),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate: .*found 'fast'"),
        ({"training": {"learning_rate": float("inf")}}, "training.learning_rate: .*finite number"),
        ({"model": {"pyramid_channels": 10**6}}, "model.pyramid_channels: .*less than or equal to 16384"),
        ({"loss": {"neighborhood_size": 65}}, "loss.neighborhood_size: .*less than or equal to 63"),
        ({"data": None}, "data: .*found None"),
        ({"data": {"root": "x" * 1000, "short_sides": "x" * 1000}}, r"data.short_sides: .*found 'x{37}\.\.\.x{38}'$"),
    ],
)
def test_a_value_of_another_type_or_out_of_range_is_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=rf"mine\.yaml: {message}"):
        build_config(settings, "mine.yaml")


def test_of_many_problems_the_first_are_shown() -> None:
    with pytest.raises(ValueError, match=r"unknown key") as error:
        build_config({f"key{i}": 0 for i in range(100)}, "mine.yaml")
    lines = str(error.value).splitlines()
    assert (len(lines), lines[-1]) == (6, "mine.yaml: ... and 95 more")


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"gone\.yaml: cannot be read"):
        read_yaml(tmp_path / "gone.yaml")


def test_a_length_in_steps_replaces_one_in_epochs_and_the_other_way_round() -> None:
    recipe = {"training": {"steps": None, "epochs": 15, "batch_size": 4}}
    assert merge(recipe, {"training": {"steps": 2}}) == {"training": {"steps": 2, "epochs": None, "batch_size": 4}}
    both = merge(recipe, {"training": {"steps": 2, "epochs": 3}})
    assert both["training"]["epochs"] == 3  # the config refuses both
    assert merge({"training": {"steps": 9}}, {"training": {"epochs": 3}})["training"] == {"steps": None, "epochs": 3}
    assert merge(recipe, {"training": {"steps": None}}) == recipe
