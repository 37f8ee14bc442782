"""The key of a trial changes with all that its result depends on, and with nothing else."""

import json
from typing import Any

import pytest

from core.config import Config
from core.config.file import build_config
from core.record import Record, trial_key
from tests.core.record_content import content


def test_the_key_is_the_one_of_the_config_wherever_it_comes_from() -> None:
    config = Config()
    settings = json.loads(config.model_dump_json())
    keys = [trial_key(either, 0, data_digest="d", code="c") for either in (config, settings)]
    assert keys[0] == keys[1]
    assert settings["data"]["root"] == "datasets/coco"  # not taken out of the settings themselves


def backbone(weights: str | None) -> dict[str, Any]:
    return {"backbone": {"weights": weights}}


def key_of(seed: int = 0, data_digest: str = "d", code: str = "c", workers: int = 1, **sections: Any) -> str:
    config = build_config({"model": backbone("weights/R-50.pkl")} | sections, "test")
    return trial_key(config, seed, data_digest=data_digest, code=code, workers=workers)


def test_the_key_changes_with_everything_that_a_result_depends_on() -> None:
    keys = [
        key_of(),
        key_of(seed=1),
        key_of(data_digest="e"),
        key_of(code="b"),
        key_of(workers=2),
        key_of(workers=3),
        key_of(loss={"color_threshold": 0.1}),
        key_of(inference={"max_detections": 6}),
        key_of(data={"val_images": "other"}),
        key_of(model=backbone(None)),
        key_of(model=backbone("package:efficientnet_lite0")),
    ]
    assert len(set(keys)) == len(keys)


def test_several_workers_are_part_of_the_training_and_a_single_one_goes_unsaid() -> None:
    alone, two = Record(**content()), Record(**content(workers=2))
    assert alone.expected_key == trial_key(alone.config, alone.seed, data_digest=alone.data_digest, code=alone.code)
    assert two.expected_key != alone.expected_key
    assert two.identity == alone.identity | {"workers": 2}
    assert "workers" not in alone.content()


@pytest.mark.parametrize(
    "config", [{}, {"data": None}, {"model": {"backbone": 3}}, {"model": {"backbone": {"weights": 3}}}]
)
def test_a_record_whose_settings_are_no_config_has_another_key(config: dict[str, Any]) -> None:
    assert Record(**content(config=config)).expected_key != Record(**content()).expected_key


@pytest.mark.parametrize(
    "other",
    [
        {"name": "another_recipe"},
        {"data": {"root": "/mnt/coco"}},
        {"model": backbone("/mnt/R-50.pkl")},  # what lies in the file is in the data's digest
    ],
    ids=lambda other: next(iter(other)),
)
def test_names_and_places_leave_the_key_alone(other: dict[str, Any]) -> None:
    assert key_of(**other) == key_of()
