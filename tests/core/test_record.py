"""A record comes back from its file as it was, tells what is wrong with it, and has the key of its training."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from core.config import Config
from core.config.file import build_config
from core.evaluation import coco_metrics
from core.record import METRICS, Record, read_record, study_csv, trial_key

ROOT = Path(__file__).parents[2]
COMMITTED = sorted(ROOT.glob("reference/*/*/trials"))
METRIC_CELLS = {"mask_AP": 12.345678, "mask_AP50": 20.0, "mask_APs": None, "box_AP": 1 / 3, "box_AP50": 50.0}


def content(**changes: Any) -> dict[str, Any]:
    """A record by hand; a change to `...` leaves the field out."""
    fields = {
        "study": "widths",
        "arm": "narrow",
        "key": "0123456789abcdef",
        "status": "ok",
        "reason": "",
        "config": {
            "name": "tiny",
            "data": {"root": "data/tiny", "short_sides": [64, 96]},
            "loss": {"dice": 0.5, "semantic": None},
        },
        "seed": 3,
        "data_digest": "d",
        "code": "c",
        "metrics": METRIC_CELLS,
        "curves": [{"epoch": 1, "epochs": 1, "loss/total": None, "mask_AP": 12.345678}],
        "pictures": ["000000000001.png"],
        "seconds": 60,
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "k.json"
    path.write_text(json.dumps(content(**changes)))
    return path


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = read_record(written(tmp_path))
    assert (record.seed, record.config["loss"]["dice"], record.curves[0]["epoch"]) == (3, 0.5, 1)
    assert (record.device, record.versions, record.mlflow_run_id) == (None, {}, None)
    assert record.to_json() == json.dumps(content(), indent=1)  # what was not in the file is not invented


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: "-".join(folder.parts[-3:-1]))
def test_committed_records_are_read_and_written_back_to_the_byte(folder: Path) -> None:
    for path in folder.iterdir():
        record = read_record(path)
        assert record.to_json() == path.read_text()
        assert record.key == record.expected_key == path.stem


def test_committed_records_are_there() -> None:
    assert {folder.parts[-3] for folder in COMMITTED} == {"people", "shapes"}


def test_a_field_that_a_later_version_adds_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, watts=[1.5, None], config={"new": {"section": 1}})
    record = read_record(path)
    assert json.loads(record.changed(arm="wide").to_json()) == content(
        watts=[1.5, None], config={"new": {"section": 1}}, arm="wide"
    )


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    metrics = {"mask_AP": math.nan, "box_AP": -math.inf, "mask_AP50": 1.5}
    record = Record(**content(metrics=metrics, curves=[{"epoch": 1, "loss": math.inf}], seconds=math.nan))
    assert record.metrics == {"mask_AP": None, "box_AP": None, "mask_AP50": 1.5}
    assert '"loss": null' in record.to_json()
    path = tmp_path / "k.json"
    path.write_text(record.to_json())
    assert read_record(path) == record


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"code": ...}, "code: Field required"),
        ({"seed": "three"}, "seed: Input should be a valid integer, found 'three'"),
        ({"status": "done"}, "status: Input should be 'ok' or 'failed', found 'done'"),
        ({"config": ["dice"]}, "config: Input should be a valid dictionary, found ['dice']"),
        ({"metrics": {"mask_AP": "12.3"}}, "metrics.mask_AP: Value error, expected a number or null, found '12.3'"),
        ({"curves": [{"epoch": 1}, {"epoch": True}]}, "curves.1.epoch: Value error, expected a number or null"),
        ({"pictures": "a.png"}, "pictures: Input should be a valid list, found 'a.png'"),
        ({"seconds": 10**400}, "seconds: Value error, expected a number that a float can hold"),
    ],
)
def test_what_is_wrong_is_told_with_file_field_found_and_expected(tmp_path: Path, changes: dict, message: str) -> None:
    path = written(tmp_path, **changes)
    with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {message}')}"):
        read_record(path)


def test_what_is_no_record_is_told_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    with pytest.raises(ValueError, match=r"k\.json: cannot be read \(No such file"):
        read_record(path)
    path.write_text("{")
    with pytest.raises(ValueError, match=r"k\.json: not valid JSON"):
        read_record(path)
    path.write_text("[1]")
    with pytest.raises(ValueError, match=r"k\.json: found \[1\], expected a record"):
        read_record(path)


def test_a_sealed_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    sealed = Record(**content()).sealed()
    path = tmp_path / "k.json"
    path.write_text(sealed.to_json())
    assert read_record(path) == sealed == sealed.sealed()
    assert sealed.changed(seed=4).sha256 is None


def test_no_flipped_bit_of_a_sealed_record_goes_unnoticed(tmp_path: Path) -> None:
    path = tmp_path / "k.json"
    record = Record(**content(config={}, metrics={"mask_AP": 1e-05}, files={"found.json": "0f"}))
    whole = record.sealed().to_json().encode()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: "):
            read_record(path)


@pytest.mark.parametrize(
    ("edited", "edit"),
    [
        ('"mask_AP": 12.345678,\n', '"mask_AP": 99.0,\n'),
        ('"arm": "narrow"', '"arm": "wide"'),
        ('"seed": 3', '"seed":  3'),  # the same content in other words
    ],
)
def test_an_edit_of_a_sealed_record_is_noticed(tmp_path: Path, edited: str, edit: str) -> None:
    text = Record(**content()).sealed().to_json()
    assert text.count(edited) == 1
    path = tmp_path / "k.json"
    path.write_text(text.replace(edited, edit))
    with pytest.raises(
        ValueError, match=r"k\.json: changed since it was written: its content does not have the sha256"
    ):
        read_record(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff{}", "byte 0 is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": NaN}', "found NaN, expected a finite number or null"),
        (b'{"key": "\\ud800"}', r"half of a character, '\ud800'"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "Exceeds the limit"),
    ],
    ids=["bytes", "nested", "NaN", "surrogate", "digits"],
)
def test_damage_that_python_s_reader_lets_through_is_told_with_the_file(
    tmp_path: Path, text: bytes, message: str
) -> None:
    path = tmp_path / "k.json"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*{re.escape(message)}"):
        read_record(path)


@pytest.mark.parametrize("name", ["../../a.png", "a/b.png", "a.png\n", ".png", "a.svg"])
def test_a_picture_is_a_file_of_the_trial(name: str) -> None:
    with pytest.raises(ValidationError, match="pictures"):
        Record(**content(pictures=[name]))


def test_a_record_is_changed_into_another_and_checked_again() -> None:
    record = Record(**content())
    assert record.changed(seed=4, traceback="t").seed == 4
    assert record.seed == 3
    with pytest.raises(TypeError, match="no field sead"):
        record.changed(sead=4)
    with pytest.raises(ValidationError, match="seed"):
        record.changed(seed="4")
    with pytest.raises(ValidationError, match="frozen"):
        record.seed = 4


def test_a_row_has_metrics_to_four_digits_and_the_settings_that_vary() -> None:
    # 12.345678 -> 12.3457, 1/3 -> 0.3333; a metric that is null or missing is empty; a list is joined by hyphens
    text = study_csv([Record(**content())], ["data.short_sides", "loss.semantic"])
    assert text.splitlines() == [
        f"study,arm,seed,trial_key,data.short_sides,loss.semantic,{','.join(METRICS)},status,reason",
        "widths,narrow,3,0123456789abcdef,64-96,,12.3457,20.0,,,,,0.3333,,ok,",
    ]


def test_a_setting_whose_value_is_a_section_is_shown_by_its_values() -> None:
    config = {"supervision": {"pseudo_masks": {"file": "masks.json"}}, "supervision_of_another": {"kind": 1}}
    text = study_csv([Record(**content(config=config))], ["supervision.pseudo_masks"])
    assert text.splitlines()[1].startswith("widths,narrow,3,0123456789abcdef,masks.json,12.3457,")


def test_a_failed_trial_is_a_row_without_metrics() -> None:
    record = Record(**content(status="failed", reason="MemoryError: 3, 4", metrics={}))
    assert study_csv([record], []).splitlines()[1] == (
        'widths,narrow,3,0123456789abcdef,,,,,,,,,failed,"MemoryError: 3, 4"'
    )


def test_a_setting_that_a_trial_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"trial 0123456789abcdef has no setting loss\.new"):
        study_csv([Record(**content())], ["loss.dice", "loss.new"])


def test_the_metrics_of_the_table_are_among_those_of_the_evaluation() -> None:
    assert set(METRICS) < set(coco_metrics.METRICS)


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
