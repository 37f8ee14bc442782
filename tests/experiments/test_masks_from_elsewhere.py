"""The README's study with an arm of masks from a file: its trials, their keys and results, and what stops it."""

import argparse
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.results import read_results
from experiments import run_studies as sweep_module
from experiments.check import main as check
from experiments.check_data import check_data
from experiments.jobs import list_jobs
from experiments.parallel.described import describe_jobs
from experiments.plan import print_plan
from experiments.provenance import Provenance
from experiments.run_studies import run_studies
from experiments.store import Store
from experiments.study import Study, load_study
from experiments.tracking.content import parameters
from tests.experiments.conftest import study_of, write_params
from tests.experiments.test_run import FLAGS, Silence, params

ROOT = Path(__file__).parents[2]
FILE = "supervision.pseudo_masks.file"


@pytest.fixture
def data(shapes: Path, tmp_path: Path) -> Path:
    """The images, with a file of masks beside them: the true ones."""
    folder = shutil.copytree(shapes, tmp_path / "datasets" / "mine")
    shutil.copy(folder / "instances_train.json", folder / "masks.json")
    return folder


@pytest.fixture
def of_readme(data: Path, tmp_path: Path) -> Study:
    (text,) = re.findall(r"```yaml\n(question: What do masks.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return study_of(text, "masks_from_elsewhere", data, tmp_path)


def keys(study: Study, made_from: Provenance) -> dict[str, str]:
    return {job.trial.arm: job.key for job in list_jobs(study, made_from)}


def test_the_arm_of_the_readme_varies_the_setting_beside_the_others(of_readme: Study) -> None:
    assert of_readme.arms == ("both", "grabcut", "foreign_masks", "full")
    assert "supervision.pseudo_masks" in of_readme.varied
    assert not [field for field in of_readme.varied if field.startswith("supervision.pseudo_masks.")]
    assert [trial.config.supervision.mask_file for trial in of_readme.trials] == [None, None, "masks.json", None]


def test_arms_that_baselines_has_are_its_trials(of_readme: Study, data: Path, made_from: Provenance) -> None:
    base = of_readme.trials[0].config.model_dump(mode="json", exclude={"supervision", "loss"})
    baselines = load_study("baselines", base, (0,))
    theirs, ours = keys(baselines, made_from), keys(of_readme, made_from)
    assert {arm: ours[arm] for arm in ("both", "grabcut", "full")} == {
        arm: theirs[arm] for arm in ("both", "grabcut", "full")
    }
    assert ours["foreign_masks"] not in theirs.values()


def test_the_key_follows_the_content_of_the_file_and_not_its_name(
    of_readme: Study, data: Path, tmp_path: Path, made_from: Provenance
) -> None:
    first = keys(of_readme, made_from)
    content = json.loads((data / "masks.json").read_text())
    del content["annotations"][0]["segmentation"]
    (data / "masks.json").write_text(json.dumps(content))
    second = keys(of_readme, made_from)
    assert {arm for arm in first if first[arm] != second[arm]} == {"foreign_masks"}
    shutil.move(data / "masks.json", data / "other.json")
    arms = "arms: {a: {supervision.pseudo_masks: {file: other.json}}, b: {}}"
    settings = "settings: {loss: {dice: 1, projection: 0, pairwise: 0}}"
    moved = study_of(f"question: q\nsource: s\nexpectation: none\n{settings}\n{arms}", "moved", data, tmp_path)
    assert keys(moved, made_from)["a"] == second["foreign_masks"]


def test_its_results_state_the_file(
    of_readme: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_training: list[str], made_from: Provenance
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sweep_module, "Tracking", Silence)
    assert run_studies([of_readme], params(), argparse.Namespace(**FLAGS)) == 0
    results = read_results(tmp_path / "results" / "masks_from_elsewhere.csv").set_index("arm")
    assert results["supervision.pseudo_masks"].to_dict() == {
        "both": "", "grabcut": "grabcut", "foreign_masks": "masks.json", "full": "",
    }  # fmt: skip
    jobs = list_jobs(of_readme, made_from)
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
    of_readme: Study, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    print_plan([of_readme], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
    told = capsys.readouterr().out
    assert "supervision.pseudo_masks=masks.json" in told
    assert len(re.findall(r"to run .*masks_from_elsewhere/foreign_masks-seed0", told)) == 1
    (data / "masks.json").write_text("{}")
    print_plan([of_readme], Store(tmp_path / "store"), teraflops=20.0, fresh=False)
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
    of_readme: Study, data: Path, made_from: Provenance, change: Callable[[dict], None], message: str
) -> None:
    content = json.loads((data / "masks.json").read_text())
    change(content)
    (data / "masks.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"{data}/masks\.json: 1 problem\(s\)\n  {message}"):
        check_data(list_jobs(of_readme, made_from), allow_holes=True)


def test_a_file_that_is_missing_is_named_by_the_quick_check_and_by_the_run(
    of_readme: Study, data: Path, tmp_path: Path, made_from: Provenance, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (data / "masks.json").unlink()
    message = "supervision.pseudo_masks: no file '{}'; expected instances_train.json with a mask for each box, such as"
    with pytest.raises(ValueError, match=re.escape(message.format(data / "masks.json"))):
        list_jobs(of_readme, made_from)
    monkeypatch.chdir(tmp_path)
    write_params(Path(), rest="settings: {supervision.pseudo_masks: {file: masks.json}}")
    assert check([]) == 2
    assert message.format("datasets/mine/masks.json") in capsys.readouterr().err
