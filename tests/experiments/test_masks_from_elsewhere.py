"""A study with an arm of masks from a file: its trials, keys and results, what stops it, and where the file lacks."""

import argparse
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.reference.rebuild import contradictions, read_trials, rebuild_csv
from analysis.results import read_results
from experiments import conduct as sweep_module
from experiments.check import main as check
from experiments.check_data import check_data
from experiments.jobs import list_jobs
from experiments.parallel.described import describe_jobs
from experiments.planning.plan import print_plan
from experiments.provenance import Provenance
from experiments.run_studies import run_studies
from experiments.store import Store
from experiments.study import Study, load_study
from experiments.tracking.content import parameters
from tests.experiments.conftest import study_of, write_params
from tests.experiments.without_mlflow import FLAGS, Silence, params

TEXT = """
question: What do masks that another model makes of the boxes teach, beside boxes alone, GrabCut and true masks?
source: none
expectation: both < full
reference_arm: full
arms:
  both: {supervision.mask_ratio: 0, loss: {dice: 0, projection: 1, pairwise: 1}}
  grabcut: {supervision: {mask_ratio: 0, pseudo_masks: grabcut}, loss: {dice: 1, projection: 0, pairwise: 0}}
  foreign_masks:
    supervision: {mask_ratio: 0, pseudo_masks: {file: masks.json}}
    loss: {dice: 1, projection: 0, pairwise: 0}
  full: {supervision.mask_ratio: 1, loss: {dice: 1, projection: 0, pairwise: 0}}
"""
FILE = "supervision.pseudo_masks.file"


@pytest.fixture
def data(shapes: Path, tmp_path: Path) -> Path:
    """The images, with a file of masks beside them: the true ones."""
    folder = shutil.copytree(shapes, tmp_path / "datasets" / "mine")
    shutil.copy(folder / "instances_train.json", folder / "masks.json")
    return folder


@pytest.fixture
def with_file(data: Path, tmp_path: Path) -> Study:
    return study_of(TEXT, "masks_from_elsewhere", data, tmp_path)


@pytest.fixture
def optional(data: Path, tmp_path: Path) -> Study:
    """The same, whose file is missing and may be."""
    (data / "masks.json").unlink()
    return study_of(f"{TEXT}optional: [foreign_masks]\n", "masks_from_elsewhere", data, tmp_path)


def keys(study: Study, made_from: Provenance) -> dict[str, str]:
    return {job.trial.arm: job.key for job in list_jobs(study, made_from)}


def test_the_arm_varies_the_setting_beside_the_others(with_file: Study) -> None:
    assert with_file.arms == ("both", "grabcut", "foreign_masks", "full")
    assert "supervision.pseudo_masks" in with_file.varied
    assert not [field for field in with_file.varied if field.startswith("supervision.pseudo_masks.")]
    assert [trial.config.supervision.mask_file for trial in with_file.trials] == [None, None, "masks.json", None]


def test_arms_that_baselines_has_are_its_trials(with_file: Study, data: Path, made_from: Provenance) -> None:
    base = with_file.trials[0].config.model_dump(mode="json", exclude={"supervision", "loss"})
    ours, theirs = keys(with_file, made_from), keys(load_study("baselines", base, (0,)), made_from)
    assert {arm: theirs.get(arm) for arm in ours} == ours | {"foreign_masks": None}  # its file is another, and missing
    shutil.move(data / "masks.json", data / "masks_elsewhere.json")
    theirs = keys(load_study("baselines", base, (0,)), made_from)
    assert {arm: theirs[arm] for arm in ours} == ours


def test_the_key_follows_the_content_of_the_file_and_not_its_name(
    with_file: Study, data: Path, tmp_path: Path, made_from: Provenance
) -> None:
    first = keys(with_file, made_from)
    content = json.loads((data / "masks.json").read_text())
    del content["annotations"][0]["segmentation"]
    (data / "masks.json").write_text(json.dumps(content))
    second = keys(with_file, made_from)
    assert {arm for arm in first if first[arm] != second[arm]} == {"foreign_masks"}
    shutil.move(data / "masks.json", data / "other.json")
    arms = "arms: {a: {supervision.pseudo_masks: {file: other.json}}, b: {}}"
    settings = "settings: {loss: {dice: 1, projection: 0, pairwise: 0}}"
    moved = study_of(f"question: q\nsource: s\nexpectation: none\n{settings}\n{arms}", "moved", data, tmp_path)
    assert keys(moved, made_from)["a"] == second["foreign_masks"]


def test_its_results_state_the_file(
    with_file: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_training: list[str], made_from: Provenance
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep_module, "Tracking", Silence)
    assert run_studies([with_file], params(), argparse.Namespace(**FLAGS)) == 0
    results = read_results(tmp_path / "results" / "masks_from_elsewhere.csv").set_index("arm")
    assert results["supervision.pseudo_masks"].to_dict() == {
        "both": "", "grabcut": "grabcut", "foreign_masks": "masks.json", "full": "",
    }  # fmt: skip
    jobs = list_jobs(with_file, made_from)
    assert [job["supervision.pseudo_masks"] for job in describe_jobs(jobs)] == [None, "grabcut", "masks.json", None]
    assert [parameters(job).get(FILE) for job in jobs] == [None, None, "masks.json", None]
    metrics = [Store(tmp_path / "store").read(job.key).metrics for job in jobs]
    assert ["pseudo_mask_iou" in of_arm for of_arm in metrics] == [False, True, True, False]
    assert metrics[2]["pseudo_mask_iou"] == 1  # the file holds the true masks


def test_files_may_vary(data: Path, tmp_path: Path) -> None:
    head = "question: q\nsource: s\nexpectation: none\nsettings: {loss.dice: 1}\n"
    text = f"{head}vary: {{supervision.pseudo_masks: [grabcut, {{file: a.json}}, {{file: b.json}}]}}"
    study = study_of(text, "vary", data, tmp_path)
    assert study.arms == ("pseudo_masks=grabcut", "pseudo_masks=a.json", "pseudo_masks=b.json")
    study = study_of(f"{head}vary: {{{FILE}: [a.json, b.json]}}", "files", data, tmp_path)
    assert (study.arms, study.varied) == (("file=a.json", "file=b.json"), ("supervision.pseudo_masks",))


def test_a_dry_run_lists_the_arm_and_names_a_file_that_is_none(
    with_file: Study, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    print_plan([with_file], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    told = capsys.readouterr().out
    assert "supervision.pseudo_masks=masks.json" in told
    assert len(re.findall(r"to run .*masks_from_elsewhere/foreign_masks-seed0", told)) == 1
    (data / "masks.json").write_text("{}")
    print_plan([with_file], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    expected = f"cannot determine which trials are finished: {data / 'masks.json'}: expected a list of objects under"
    assert expected in capsys.readouterr().out


def first_annotation(**changes: object) -> Callable[[dict], None]:
    return lambda content: content["annotations"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first_annotation(id=10_000), r"annotation 10000 \(image \d+\): no annotation has this id in "),
        (first_annotation(segmentation=[[0, 0, 1]]), r"annotation 1 \(image \d+\): polygon is \[0, 0, 1\], expected"),
    ],
)
def test_a_wrong_file_stops_the_sweep_before_it_trains_anything(
    with_file: Study, data: Path, made_from: Provenance, change: Callable[[dict], None], message: str
) -> None:
    content = json.loads((data / "masks.json").read_text())
    change(content)
    (data / "masks.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"{data}/masks\.json: 1 problem\(s\)\n  {message}"):
        check_data(list_jobs(with_file, made_from), allow_holes=True)


def test_a_file_that_is_missing_is_named_by_the_quick_check_and_by_the_run(
    with_file: Study, data: Path, tmp_path: Path, made_from: Provenance, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (data / "masks.json").unlink()
    message = "supervision.pseudo_masks: no file '{}'; expected instances_train.json with a mask for each box, such as"
    with pytest.raises(ValueError, match=re.escape(message.format(data / "masks.json"))):
        list_jobs(with_file, made_from)
    monkeypatch.chdir(tmp_path)
    write_params(Path(), rest="settings: {supervision.pseudo_masks: {file: masks.json}}")
    assert check([]) == 2
    assert message.format("datasets/mine/masks.json") in capsys.readouterr().err


def test_an_optional_arm_runs_where_its_file_is_there(with_file: Study, data: Path, tmp_path: Path, made_from) -> None:
    study = study_of(f"{TEXT}optional: [foreign_masks]\n", "masks_from_elsewhere", data, tmp_path)
    assert (study.arms, study.left_out) == (with_file.arms, ())
    assert keys(study, made_from) == keys(with_file, made_from)


def test_an_optional_arm_without_its_file_is_a_row_that_says_why(
    optional: Study,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fake_training: list[str],
    made_from: Provenance,
    capsys: pytest.CaptureFixture,
) -> None:
    assert optional.arms == ("both", "grabcut", "full")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep_module, "Tracking", Silence)
    assert run_studies([optional], params(), argparse.Namespace(**FLAGS)) == 0
    reason = f"left out: no file '{data / 'masks.json'}'"
    assert f"masks_from_elsewhere: foreign_masks-seed0: {reason}" in capsys.readouterr().out
    path = tmp_path / "results" / "masks_from_elsewhere.csv"
    results = read_results(path).set_index("arm")
    assert [*results.index] == ["both", "grabcut", "full", "foreign_masks"]
    assert results["reason"].to_dict() == {"both": "", "grabcut": "", "full": "", "foreign_masks": reason}
    assert results["supervision.pseudo_masks"]["foreign_masks"] == "masks.json"
    assert not results["trial_key"].duplicated().any()
    records = read_trials(path.with_suffix(""))
    assert len(records) == 4
    (left_out,) = [(path, record) for path, record in records.items() if record.arm == "foreign_masks"]
    assert contradictions(*left_out) == []
    assert rebuild_csv(path.read_text(), [*records.values()]) == path.read_text()


def test_a_dry_run_and_the_quick_check_say_what_is_left_out(
    optional: Study, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    print_plan([optional], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    reason = "left out: no file '{}'"
    assert f"masks_from_elsewhere/foreign_masks-seed0: {reason.format(data / 'masks.json')}" in capsys.readouterr().out
    monkeypatch.chdir(tmp_path)
    write_params(Path(), studies="[baselines]")
    assert check([]) == 0
    expected = reason.format("datasets/mine/masks_elsewhere.json")
    assert capsys.readouterr().out == f"baselines: foreign_masks-seed0: {expected}\n"


@pytest.mark.parametrize(
    ("arms", "message"),
    [
        ("[foreign_mask]", r"optional: no arm 'foreign_mask' \(did you mean 'foreign_masks'\?\)"),
        ("[grabcut]", "optional: arm 'grabcut' names no file of masks that could be missing"),
    ],
)
def test_only_arms_with_a_file_may_be_optional(data: Path, tmp_path: Path, arms: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"wrong\.yaml: {message}"):
        study_of(f"{TEXT}optional: {arms}\n", "wrong", data, tmp_path)


def test_a_study_without_any_arm_left_is_refused(data: Path, tmp_path: Path) -> None:
    (data / "masks.json").unlink()
    text = "question: q\nsource: s\nexpectation: none\nsettings: {loss.dice: 1}\noptional: [a]\n"
    with pytest.raises(ValueError, match=r"none\.yaml: every arm is optional and left out: no file '.*masks\.json'"):
        study_of(f"{text}arms: {{a: {{supervision.pseudo_masks: {{file: masks.json}}}}}}", "none", data, tmp_path)
