"""A record comes back from its file as it was, and tells what is wrong with it."""

import json
import math
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.record import Record, read_record
from tests.core.record_content import content, written

ROOT = Path(__file__).parents[2]
COMMITTED = sorted(ROOT.glob("reference/*/*/trials"))


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
    assert {folder.parts[-3] for folder in COMMITTED} == {"nuclei", "people", "shapes"}


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
