"""Settings: the defaults, and values that are refused because nothing could work with them."""

import pytest
from pydantic import ValidationError

from core.config import Config
from core.config.file import build_config


def test_defaults_are_the_released_boxinst() -> None:
    config = Config()
    assert config.model.mask_feature_channels == 16
    assert config.loss.color_threshold == 0.3
    assert round(config.loss.pairwise_warmup * config.training.steps) == 10_000
    assert config.model.strides == (8, 16, 32, 64, 128)


def test_a_value_out_of_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"loss\.color_threshold.*found 1\.5"):
        build_config({"loss": {"color_threshold": 1.5}}, "x")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": {"neighborhood_size": 4}}, r"loss\.neighborhood_size: .*expected an odd number.*, found 4"),
        ({"loss": {"neighborhood_size": 1}}, r"loss\.neighborhood_size: .*greater than or equal to 3, found 1"),
        (
            {"loss": {"dice": 0, "projection": 0, "pairwise": 0}},
            "loss: .*dice.* are all 0, expected at least one mask term above 0",
        ),
        ({"model": {"class_prior": 0}}, r"model\.class_prior: .*greater than 0, found 0"),
        ({"model": {"class_prior": 1}}, r"model\.class_prior: .*less than 1, found 1"),
        ({"model": {"head_groups": 48}}, "model: .*head_groups is 48, expected a divisor of pyramid_channels 256"),
        (
            {"model": {"backbone": {"name": "resnet42"}}},
            r"model\.backbone\.name: .*resnet101 or timm:<name>, found 'resnet42'",
        ),
        (
            {"model": {"backbone": {"name": "resnet18", "deformable_interval": 3}}},
            r"model\.backbone: .*deformable_interval needs resnet50 or resnet101, but name is resnet18",
        ),
        (
            {"model": {"backbone": {"name": "timm:resnet18", "deformable_interval": 3}}},
            r"model\.backbone: .*deformable_interval needs resnet50 or resnet101, but name is timm:resnet18",
        ),
        (
            {"model": {"backbone": {"name": "timm:"}}},
            r"model\.backbone\.name: .*resnet101 or timm:<name>, found 'timm:'",
        ),
        ({"data": {"scale_range": [2, 1]}}, r"data\.scale_range: .*expected the lower limit first, found \[2, 1\]"),
        ({"data": {"short_sides": []}}, r"data\.short_sides: .*at least 1 item.*, found \[\]"),
        (
            {"assignment": {"size_boundaries": [64, 128, 128, 256]}},
            r"assignment\.size_boundaries: .*expected increasing values, found \[64, 128, 128, 256\]",
        ),
        (
            {"training": {"optimizer": "adamw", "schedule_batch_size": 16}},
            "training: .*schedule_batch_size is 16, but optimizer is adamw: .* a rule for sgd; expected null",
        ),
        (
            {"model": {"architecture": "mask_rcnn"}, "supervision": {"pseudo_masks": "teacher"}},
            "config: .*pseudo_masks is teacher, but .*architecture is mask_rcnn: .*; expected grabcut, a file or null",
        ),
        (
            {"supervision": {"pseudo_masks": "sam"}},
            r"supervision\.pseudo_masks: expected grabcut, teacher, {file: masks\.json} or null, found 'sam'",
        ),
        (
            {"supervision": {"pseudo_masks": ["masks.json"]}},
            r"supervision\.pseudo_masks: expected grabcut, .* or null, found \['masks\.json'\]",
        ),
        ({"supervision": {"pseudo_masks": {}}}, r"supervision\.pseudo_masks\.file: Field required"),
        ({"supervision": {"pseudo_masks": {"file": 3}}}, r"supervision\.pseudo_masks\.file: .* string, found 3"),
        (
            {"supervision": {"pseudo_masks": {"file": "a.json", "weight": 2}}},
            r"unknown key 'supervision\.pseudo_masks\.weight' \(did you mean 'supervision\.pseudo_masks'\?\)",
        ),
        (
            {"supervision": {"mask_ratio": 0.1, "boxes_first": 0.5, "pseudo_masks": {"file": "a.json"}}},
            "supervision: .*pseudo_masks gives instances of all images a mask; expected boxes_first 0 beside it",
        ),
        (
            {"model": {"architecture": "mask_rcnn", "semantic_head": True}, "supervision": {"mask_ratio": 1}},
            "config: .*semantic_head is true, but model.architecture is mask_rcnn, which has none",
        ),
        (
            {"training": {"drops": [0.9, 0.6]}},
            r"training\.drops: .*expected increasing values, found \[0\.9, 0\.6\]",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_before_a_run(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^mine\.yaml: {message}$"):
        build_config(settings, "mine.yaml")


@pytest.mark.parametrize("path", ["/m.json", "../m.json", "a/../../m.json", "", ".", "a\\m.json", "m\n.json", "\0"])
def test_masks_lie_in_the_folder_of_the_data(path: str) -> None:
    expected = r"mine\.yaml: supervision\.pseudo_masks\.file: .*expected a path inside the data folder, relative to it"
    with pytest.raises(ValueError, match=expected):
        build_config({"supervision": {"pseudo_masks": {"file": path}}}, "mine.yaml")


def test_a_file_of_masks_comes_back_from_the_settings_it_is_written_to() -> None:
    given = {"pseudo_masks": {"file": "deep/masks.json"}}
    config = build_config({"supervision": given, "model": {"architecture": "mask_rcnn"}}, "mine.yaml")
    assert build_config(config.model_dump(mode="json"), "mine.yaml") == config
    assert config.supervision.model_dump(mode="json")["pseudo_masks"] == given["pseudo_masks"]
    assert (config.supervision.mask_file, config.supervision.makes_masks) == ("deep/masks.json", False)
    made = build_config({"supervision": {"pseudo_masks": "grabcut"}}, "mine.yaml").supervision
    assert (made.mask_file, made.makes_masks, Config().supervision.makes_masks) == (None, True, False)


def test_settings_at_their_limits_are_kept() -> None:
    config = build_config(
        {
            "data": {"scale_range": [1, 1]},
            "model": {"backbone": {"name": "timm:test_resnet"}, "class_prior": 0.5, "head_groups": 256},
            "loss": {"dice": 0, "projection": 0, "pairwise": 0.1, "neighborhood_size": 5},
            "training": {"drops": []},
        },
        "mine.yaml",
    )
    assert config.data.scale_range == (1, 1)
    assert config.training.drops == ()
    assert build_config({"data": {"scale_range": None}}, "mine.yaml") == Config()


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Config().name = "other"


def test_size_boundaries_must_fit_the_levels() -> None:
    with pytest.raises(ValueError, match="size_boundaries has 4 entries, expected 2"):
        build_config({"model": {"levels": [3, 4, 5]}}, "x")


def test_either_steps_or_epochs() -> None:
    with pytest.raises(ValueError, match="expected exactly one"):
        build_config({"training": {"epochs": 3}}, "x")
