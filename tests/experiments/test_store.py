"""The code of a trial is what it runs; only whole records count as finished."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import Config
from core.evaluation.kept_detections import DETECTIONS, write_detections
from core.files.atomic import write_text
from core.record import Record, trial_key
from experiments import store as store_module
from experiments import unchanged as unchanged_module
from experiments.provenance import Provenance
from experiments.store import Store
from experiments.study import Trial
from experiments.trial import describe_trial


def key_of(config: Config) -> str:
    return trial_key(config, 0, data_digest="d", code="c0de")


def record_of(config: Config) -> Record:
    trial = Trial("study", "arm", 0, config, {})
    made_from = Provenance("c0de", {}, None, git_dirty=False)
    record = describe_trial(trial, key=key_of(config), data_digest="d", provenance=made_from)
    curves = [{"epoch": 1, "epochs": 2}, {"epoch": 2, "epochs": 2}]
    return record.changed(curves=curves, metrics={"mask_AP": 1.5})


def write(store: Store, record: Record) -> None:
    """As a trial does: its detections and what they find first, then the record."""
    write_text(store.folder(record.key) / "found.json", '{"0": 0.5, "1": null}')
    write_detections([], [], store.folder(record.key) / DETECTIONS)
    store.write(record)


def test_a_finished_trial_is_found_again(config: Config, tmp_path: Path) -> None:
    store, record = Store(tmp_path), record_of(config)
    assert store.finished(record.key) is None
    write(store, record)
    found = store.finished(record.key)
    assert found.changed(files={}) == record.changed(files={})
    assert list(found.files) == ["found.json", "detections.json.gz"]
    assert found.sha256 == record.changed(files=found.files).sealed().sha256
    assert store.found(record.key) == {0: 0.5, 1: None}


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "0123456789abcdef"},
        {"seed": 1},
        {"data_digest": "e"},
        {"curves": []},
        {"curves": [{"epoch": 1, "epochs": 2}]},
        {"curves": [{"epoch": 2, "epochs": 2}]},
        {"curves": [{"epoch": 1}]},
        {"pictures": ["lost.png"]},
        {"config": {"training": {"steps": -1}}},
    ],
)
def test_a_record_that_does_not_hold_up_is_not_used(config: Config, tmp_path: Path, changes: dict, caplog) -> None:
    key = key_of(config)
    write(Store(tmp_path), record_of(config))
    whole = Store(tmp_path).finished(key)
    write_text(tmp_path / key / "record.json", whole.changed(**changes).sealed().to_json())
    assert Store(tmp_path).finished(key) is None
    assert f"the trial runs again: {tmp_path / key}" in caplog.text


def damage(path: Path) -> None:
    """Flip one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


@pytest.mark.parametrize("harm", [damage, truncate, Path.unlink])
@pytest.mark.parametrize("name", ["record.json", "found.json", "detections.json.gz", "pictures/7.png"])
def test_what_is_damaged_is_named_and_the_trial_runs_again(
    config: Config, tmp_path: Path, caplog, name: str, harm: Callable[[Path], None]
) -> None:
    store, record = Store(tmp_path), record_of(config).changed(pictures=["7.png"])
    write_text(store.folder(record.key) / "pictures" / "7.png", "a picture")
    write(store, record)
    assert store.finished(record.key) is not None
    harm(store.folder(record.key) / name)
    assert store.finished(record.key) is None
    if (name, harm) != ("record.json", Path.unlink):
        assert f"the trial runs again: {store.folder(record.key) / name}: " in caplog.text


def test_files_that_nobody_wrote_since_are_not_read_again(config: Config, tmp_path: Path, monkeypatch) -> None:
    record = record_of(config).changed(pictures=["7.png"])
    picture = Store(tmp_path).folder(record.key) / "pictures" / "7.png"
    write_text(picture, "a picture")
    write(Store(tmp_path), record)
    read: list[str] = []
    original = store_module._digest
    monkeypatch.setattr(store_module, "_digest", lambda path: (read.append(path.name), original(path))[1])
    names = ["found.json", DETECTIONS, "7.png"]

    def read_by(store: Store) -> list[str]:
        read.clear()
        assert store.is_finished(record.key)
        assert store.finished(record.key) is not None
        return read

    assert read_by(Store(tmp_path)) == names * 2  # just written: it could be written again at once, and look the same
    monkeypatch.setattr(unchanged_module, "SETTLED_SECONDS", -1.0)
    store = Store(tmp_path)
    assert read_by(store) == names
    assert read_by(store) == []
    assert read_by(Store(tmp_path)) == names  # another command
    store.remember_whole()
    assert read_by(Store(tmp_path)) == []
    state = picture.stat()
    picture.write_text("a PICTURE")  # as long as before, and of the same time
    os.utime(picture, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert Store(tmp_path).finished(record.key) is None
    picture.write_text("a picture")
    assert read_by(Store(tmp_path)) == names
    (tmp_path / "whole.json").write_text("{")
    assert read_by(Store(tmp_path)) == names


def test_a_trial_from_before_detections_were_kept_is_still_whole(config: Config, tmp_path: Path) -> None:
    store, record = Store(tmp_path), record_of(config)
    write(store, record)
    whole = store.finished(record.key)
    (store.folder(record.key) / DETECTIONS).unlink()
    assert store.finished(record.key) is None
    files = {name: digest for name, digest in whole.files.items() if name != DETECTIONS}
    write_text(store.folder(record.key) / "record.json", whole.changed(files=files).sealed().to_json())
    assert store.finished(record.key).files == files


def test_keys_are_those_of_trials_that_have_ended(config: Config, tmp_path: Path) -> None:
    store, record = Store(tmp_path), record_of(config)
    assert store.keys() == []
    store.write(record.changed(status="failed", reason="ValueError: no"))
    store.keep_run_ids("pair", {"a": "b"})
    assert store.keys() == []
    with pytest.raises(ValueError, match=r"record\.json: cannot be read"):
        store.read(record.key)
    write(store, record)
    assert store.keys() == [record.key]
    assert store.read(record.key).metrics == record.metrics


def test_a_record_without_a_digest_is_not_whole(config: Config, tmp_path: Path, caplog) -> None:
    store, record = Store(tmp_path), record_of(config)
    write(store, record)
    content = {name: value for name, value in record.content().items() if name != "files"}  # as it was written once
    write_text(store.folder(record.key) / "record.json", Record(**content).to_json())
    assert store.finished(record.key) is None
    assert "record.json: has no sha256 of its content" in caplog.text


def test_a_damaged_failure_is_named_and_forgotten(config: Config, tmp_path: Path, caplog) -> None:
    store, record = Store(tmp_path), record_of(config).changed(status="failed", reason="ValueError: no")
    store.write(record)
    damage(store.folder(record.key) / "failed.json")
    assert store.failed(record.key) is None
    assert "failed.json: " in caplog.text


@pytest.mark.parametrize("text", ['{"0": 0.5, "1"', "[1]", '{"0": "high"}', '{"x": 1}', "", "\x00"])
def test_what_the_detections_find_is_named_where_it_is_damaged(config: Config, tmp_path: Path, text: str) -> None:
    store, record = Store(tmp_path), record_of(config)
    write(store, record)
    path = store.folder(record.key) / "found.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}: "):
        store.found(record.key)


@pytest.mark.parametrize("text", ['{"a": "b"', "[1]", '{"a": 1}'])
def test_damaged_ids_of_runs_are_left_out_with_a_word(tmp_path: Path, caplog, text: str) -> None:
    store = Store(tmp_path)
    store.keep_run_ids("pair", {"a": "b"})
    assert store.run_ids("pair") == {"a": "b"}
    (tmp_path / "runs" / "pair.json").write_text(text)
    assert store.run_ids("pair") == {}
    assert "runs/pair.json: " in caplog.text


@pytest.mark.parametrize("text", ["", '{"key": "ab', "[]", "{}"])
def test_a_half_written_record_is_not_used(config: Config, tmp_path: Path, text: str) -> None:
    key = key_of(config)
    (tmp_path / key).mkdir()
    (tmp_path / key / "record.json").write_text(text)
    (tmp_path / key / "other.json.partial").write_text("{")
    assert Store(tmp_path).finished(key) is None


def test_a_failure_is_kept_until_the_trial_finishes(config: Config, tmp_path: Path) -> None:
    store = Store(tmp_path)
    failed = record_of(config).changed(status="failed", reason="ValueError: no")
    store.write(failed)
    assert store.finished(failed.key) is None
    assert store.failed(failed.key).reason == "ValueError: no"
    write(store, record_of(config))
    assert store.failed(failed.key) is None
    store.forget(failed.key)
    assert store.finished(failed.key) is None
