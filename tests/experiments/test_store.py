"""A trial's key changes with everything that its result depends on; only whole records count as finished."""

import json
from pathlib import Path

import pytest

from core.config import Config
from experiments.provenance import Provenance, code_digest, provenance, trial_sources
from experiments.store import Store, trial_key, without_nan, write_json
from experiments.study import Trial
from experiments.trial import describe_trial


def key_of(config: Config, seed: int = 0, data_digest: str = "d", code: str = "c0de") -> str:
    return trial_key(config, seed, data_digest=data_digest, code=code)


def record_of(config: Config, changes: dict | None = None) -> dict:
    trial = Trial("study", "arm", 0, config, {})
    made_from = Provenance("c0de", {}, None, git_dirty=False)
    record = describe_trial(trial, key=key_of(config), data_digest="d", provenance=made_from)
    curves = [{"epoch": 1, "epochs": 2}, {"epoch": 2, "epochs": 2}]
    return record | {"curves": curves, "metrics": {"mask_AP": 1.5}} | (changes or {})


def write(store: Store, record: dict) -> None:
    """As a trial does: what its detections find first, then the record."""
    write_json(store.folder(record["key"]) / "found.json", {0: 0.5, 1: None})
    store.write(record)


def changed(config: Config, section: str, **values: object) -> Config:
    part = getattr(config, section).model_copy(update=values)
    return config.model_copy(update={section: part})


def test_the_key_changes_with_each_ingredient(config: Config) -> None:
    keys = [
        key_of(config),
        key_of(config, seed=1),
        key_of(config, data_digest="e"),
        key_of(config, code="c0df"),
        key_of(changed(config, "loss", color_threshold=0.1)),
        key_of(changed(config, "inference", max_detections=6)),
        key_of(changed(config, "data", val_images="other")),
    ]
    assert len(set(keys)) == len(keys)


def test_the_name_of_the_recipe_and_the_place_of_the_data_leave_the_key_alone(config: Config) -> None:
    moved = changed(config, "data", root="/elsewhere").model_copy(update={"name": "other"})
    assert key_of(moved) == key_of(config)


def test_the_code_digest_changes_with_bytes_names_and_versions(tmp_path: Path) -> None:
    versions = {"torch": "2.11.0", "torchvision": "0.26.0"}
    paths = [tmp_path / "a.py", tmp_path / "b.py"]
    for path in paths:
        path.write_text("x = 1\n")
    before = code_digest(paths, versions, tmp_path)
    assert code_digest(paths, versions, tmp_path) == before
    assert code_digest(paths, versions | {"torch": "2.12.0"}, tmp_path) != before
    assert code_digest(paths[:1], versions, tmp_path) != before
    paths[1].write_text("x = 2\n")
    assert code_digest(paths, versions, tmp_path) != before


def test_the_code_of_a_trial_is_what_it_imports_directly_or_not(tmp_path: Path) -> None:
    files = {
        "experiments/trial.py": "from core.training.loop import train\nimport json\n",
        "core/training/loop.py": "def train():\n    from core.losses.dice import dice  # where it is needed\n",
        "core/losses/__init__.py": "",
        "core/losses/dice.py": "import core.geometry\n",
        "core/geometry.py": "",
        "core/download.py": "from core.training.loop import train\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    found = {path.relative_to(tmp_path).as_posix() for path in trial_sources(tmp_path)}
    assert found == set(files) - {"core/download.py"}


def test_the_code_of_a_trial_is_that_of_its_training_and_not_the_command_lines() -> None:
    names = {path.as_posix().split("/", -1)[-2] + "/" + path.name for path in trial_sources()}
    assert {"training/loop.py", "losses/pairwise.py", "experiments/trial.py"} <= names
    assert not {"experiments/run.py", "core/annotate.py", "datasets/check.py"} & names
    assert len(provenance().code) == 16


def test_a_finished_trial_is_found_again(config: Config, tmp_path: Path) -> None:
    store, record = Store(tmp_path), record_of(config)
    assert store.finished(record["key"]) is None
    write(store, record)
    assert store.finished(record["key"]) == json.loads(json.dumps(record))


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "0123456789abcdef"},
        {"seed": 1},
        {"data_digest": "e"},
        {"curves": []},
        {"curves": [{"epoch": 1, "epochs": 2}]},
        {"curves": [{"epoch": 2, "epochs": 2}]},
        {"pictures": ["lost.png"]},
        {"config": {"training": {"steps": -1}}},
    ],
)
def test_a_record_that_does_not_hold_up_is_not_used(config: Config, tmp_path: Path, changes: dict, caplog) -> None:
    key = key_of(config)
    write(Store(tmp_path), record_of(config))
    write_json(tmp_path / key / "record.json", record_of(config, changes))
    assert Store(tmp_path).finished(key) is None
    assert "the trial runs again" in caplog.text


@pytest.mark.parametrize("text", ["", '{"key": "ab', "[]", "{}"])
def test_a_half_written_record_is_not_used(config: Config, tmp_path: Path, text: str) -> None:
    key = key_of(config)
    (tmp_path / key).mkdir()
    (tmp_path / key / "record.json").write_text(text)
    (tmp_path / key / "other.json.partial").write_text("{")
    assert Store(tmp_path).finished(key) is None


def test_writing_that_fails_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"value": 1})
    with pytest.raises(TypeError):
        write_json(path, {"value": object()})
    assert json.loads(path.read_text()) == {"value": 1}


def test_a_failure_is_kept_until_the_trial_finishes(config: Config, tmp_path: Path) -> None:
    store = Store(tmp_path)
    failed = record_of(config, {"status": "failed", "reason": "ValueError: no"})
    store.write(failed)
    assert store.finished(failed["key"]) is None
    assert store.failed(failed["key"])["reason"] == "ValueError: no"
    write(store, record_of(config))
    assert store.failed(failed["key"]) is None
    store.forget(failed["key"])
    assert store.finished(failed["key"]) is None


def test_numbers_that_are_not_finite_become_null() -> None:
    nan, inf = float("nan"), float("inf")
    assert without_nan({"a": [nan, 1.5], "b": {"c": -inf, "d": "nan", "e": 2}}) == {
        "a": [None, 1.5],
        "b": {"c": None, "d": "nan", "e": 2},
    }
