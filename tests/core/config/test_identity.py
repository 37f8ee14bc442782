"""What counts for a training's files, and how a difference is told."""

from typing import Any

import pytest

from core.config import Config
from core.config.dotted import leaves, nested
from core.config.file import build_config
from core.config.identity import CAME_LATER, differences, pseudo_mask_identity, training_identity


def config(**sections: Any) -> Config:
    return build_config(sections, "test")


def weights(name: str | None) -> dict[str, Any]:
    return {"backbone": {"weights": name}}


def pseudo_masks(
    method: str,
    seed: int = 0,
    digest: str = "d",
    images_per_step: int = 16,
    start: str | None = None,
    **sections: Any,
) -> dict:
    of = config(supervision=sections.pop("supervision", {}) | {"pseudo_masks": method}, **sections)
    return pseudo_mask_identity(of, seed, digest, images_per_step=images_per_step, start=start)


def test_names_and_places_do_not_count_for_a_training() -> None:
    here = config(name="here", data={"root": "datasets/a"}, model=weights("weights/R-50.pkl"))
    there = config(name="there", data={"root": "/mnt/b"}, model=weights("/mnt/R-50.pkl"))
    assert training_identity(here, 0, "d") == training_identity(there, 0, "d")


def test_whether_masks_are_from_a_file_does_and_its_name_does_not() -> None:
    here, there = (config(supervision={"pseudo_masks": {"file": name}}) for name in ("masks.json", "sam/masks.json"))
    assert training_identity(here, 0, "d") == training_identity(there, 0, "d")
    assert differences(training_identity(config(), 0, "d"), training_identity(here, 0, "d")) == [
        "config.supervision.pseudo_masks.file is missing instead of 'a file'",
        "config.supervision.pseudo_masks is None instead of missing",
    ]


@pytest.mark.parametrize("other", [None, "package:efficientnet_lite0"])
def test_whether_weights_are_from_a_file_does(other: str | None) -> None:
    found, expected = (training_identity(config(model=weights(name)), 0, "d") for name in (other, "weights/R-50.pkl"))
    assert differences(found, expected) == [f"config.model.backbone.weights is {other!r} instead of 'a file'"]


def test_settings_that_differ_are_named_with_both_values() -> None:
    found = training_identity(config(loss={"dice": 0.5}, data={"short_sides": [64, 96]}), 0, "d")
    expected = training_identity(config(loss={"dice": 1.0}, data={"short_sides": [64]}), 1, "d")
    assert differences(found, expected) == [
        "config.data.short_sides is [64, 96] instead of [64]",
        "config.loss.dice is 0.5 instead of 1.0",
        "seed is 0 instead of 1",
    ]
    assert differences(found, found) == []


def test_settings_that_one_side_lacks_are_named() -> None:
    found, expected = {"a": {"old": None, "both": 1}}, {"a": {"new": None, "both": 1}}
    assert differences(found, expected) == ["a.new is missing instead of None", "a.old is None instead of missing"]


def test_pseudo_masks_of_grabcut_belong_to_the_instances_whatever_is_trained_on_them() -> None:
    made = pseudo_masks("grabcut")
    assert made == pseudo_masks("grabcut", start="a")
    assert made == pseudo_masks("grabcut", images_per_step=2, loss={"dice": 0.5}, training={"learning_rate": 0.1})
    others = {
        "seed is 1 instead of 0": pseudo_masks("grabcut", seed=1),
        "data_digest is 'e' instead of 'd'": pseudo_masks("grabcut", digest="e"),
        "config.supervision.mask_ratio is 0.1 instead of 0.0": pseudo_masks("grabcut", supervision={"mask_ratio": 0.1}),
        "config.data.drop_images_without_boxes is False instead of True": pseudo_masks(
            "grabcut", data={"drop_images_without_boxes": False}
        ),
    }
    for difference, other in others.items():
        assert differences(other, made) == [difference]
    assert differences(pseudo_masks("teacher"), made)[0] == "method is 'teacher' instead of 'grabcut'"


def test_those_of_a_teacher_belong_to_its_whole_training() -> None:
    made = pseudo_masks("teacher")
    assert made == pseudo_masks("teacher", name="other", data={"root": "elsewhere"})
    assert differences(pseudo_masks("teacher", loss={"dice": 0.5}), made) == ["config.loss.dice is 0.5 instead of 1.0"]
    assert differences(pseudo_masks("teacher", images_per_step=8), made) == ["images_per_step is 8 instead of 16"]
    assert differences(pseudo_masks("teacher", start="a"), made) == ["start is 'a' instead of missing"]


def test_settings_that_came_later_count_only_where_they_change_something() -> None:
    before = training_identity(config(), 0, "d")
    assert training_identity(build_config(nested(CAME_LATER), "test"), 0, "d") == before
    assert not set(CAME_LATER) & set(leaves(before["config"]))
    for place in CAME_LATER:
        assert place in leaves(config().model_dump(mode="json")), "the setting is gone"
    other = training_identity(config(loss={"kept_edges": 0.5, "edge_membership": "one_end"}), 0, "d")
    assert differences(other, before) == [
        "config.loss.kept_edges is 0.5 instead of missing",
        "config.loss.edge_membership is 'one_end' instead of missing",
    ]
