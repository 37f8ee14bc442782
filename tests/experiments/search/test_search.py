"""A search: what its file says, which trials it trains and stops, and what it leaves."""

import csv
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from ray import tune

from core.config.file import build_config
from core.config.recipe import load_recipe
from core.evaluation.kept_detections import DETECTIONS, write_detections
from core.record import METRICS
from experiments import conduct as driver_module
from experiments.jobs import Job
from experiments.parallel import sweep as sweep_module
from experiments.search.__main__ import main
from experiments.search.drawn import SEARCHES
from experiments.store import Store
from experiments.sweep import describe_job
from tests.experiments.search.conftest import FILE, load
from tests.experiments.without_mlflow import Silence

ROOT = Path(__file__).parents[3]


@pytest.fixture
def trained(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replaces trainings, in Ray's processes, by four epochs whose mask AP is the color threshold in percent.

    Each adds a line to the file that is returned.
    """
    path = here / "trained.txt"

    def train(settings: dict, jobs: Sequence[Job], store: Store, **others: object) -> None:
        job = next(job for job in jobs if job.key == settings["trial_key"])
        with path.open("a") as file:
            file.write(f"{job.trial.name}\n")
        value = 100 * job.trial.config.loss.color_threshold
        curves = []
        for epoch in (1, 2, 3, 4):
            curves.append({"epoch": epoch, "epochs": 4, "seconds": 0.5 * epoch, "loss/total": 1.0, "mask_AP": value})
            tune.report(curves[-1])
        folder = store.folder(job.key)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "found.json").write_text("{}")
        write_detections([], [], folder / DETECTIONS)
        store.write(describe_job(job).changed(metrics={"mask_AP": value}, curves=curves, seconds=2.0))

    monkeypatch.setattr(sweep_module, "train_job", train)
    monkeypatch.setattr(driver_module, "Tracking", Silence)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("path", sorted(SEARCHES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_search_can_be_run_on_the_default_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    found = load(path.stem)
    assert len(found.study.trials) == found.search.trials
    assert len({json.dumps(trial.varied) for trial in found.study.trials}) == found.search.trials


def test_trials_are_drawn_over_the_recipe_and_trained_with_one_seed(here: Path) -> None:
    study = load().study
    assert [trial.name for trial in study.trials] == [f"trial-{number:03}-seed3" for number in range(6)]
    for trial in study.trials:
        assert trial.config.loss.dice == 0
        assert trial.varied == {
            "loss.color_threshold": trial.config.loss.color_threshold,
            "loss.pairwise": trial.config.loss.pairwise,
        }
        assert 0.1 <= trial.config.loss.color_threshold <= 0.6
    assert load().study == study


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("color_threshold:", "colour_threshold:", r"trial-000: .*\(did you mean 'loss.color_threshold'\?\)"),
        ("uniform: [0.1, 0.6]", "uniform: [0.6, 0.1]", "uniform: 0.6 to 0.1, expected the lower limit first"),
        ("uniform: [0.1, 0.6]", "loguniform: [0, 1]", "loguniform: 0, expected limits above 0"),
        ("uniform: [0.1, 0.6]", "uniform: [0.1, 1.6]", "trial-001: .*less than or equal to 1, found 1.3664"),
        ("{uniform: [0.1, 0.6]}", "{}", "nothing given, expected one of uniform, loguniform, choice"),
        ("{choice: [0.5, 2]}", "{choice: [1], uniform: [1, 2]}", "uniform and choice given, expected one of"),
        ("trials: 6", "trials: 600", "search.trials: .*less than or equal to 500, found 600"),
        ("trials: 6", "trials: 6\n  metric: mask_ap", f"search.metric: Input should be '{METRICS[0]}'"),
        ("loss.dice: 0", "data.root: x", "a search cannot set data.root"),
        ("loss.dice: 0", "loss: {pairwise: 1}", "loss.pairwise is under settings and in the space"),
        ("{loss.dice: 0}", "{training: 5}", "training"),
        (
            "loss.dice: 0",
            "training.evaluate_every: null",
            "halving stops trials by their evaluations, but training.eval",
        ),
        ("search:", "arms: {}\nsearch:", "unknown key 'arms'"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(here: Path, old: str, new: str, message: str) -> None:
    text = FILE.format(trials=6)
    assert old in text
    Path("mine.yaml").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=rf"mine\.yaml: .*{message}"):
        load()


def test_a_setting_three_levels_deep_is_not_both_fixed_and_drawn(here: Path) -> None:
    field = "model.backbone.frozen_stages"
    text = FILE.format(trials=6).replace("loss.dice: 0", f"{field}: 1").replace("loss.pairwise:", f"{field}:")
    Path("mine.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"{field} is under settings and in the space"):
        load()


def test_a_search_has_a_name_of_its_own(here: Path) -> None:
    with pytest.raises(ValueError, match=r"search 'mime': no file .*mime\.yaml \(did you mean 'mine'\?\)"):
        load("mime")
    Path("mine.yaml").rename("loss_terms.yaml")
    with pytest.raises(ValueError, match=r"loss_terms\.yaml: there is a study of this name"):
        load("loss_terms")


def test_poor_trials_are_stopped_the_winner_is_a_recipe_and_nothing_is_trained_twice(
    here: Path, trained: Path, capfd
) -> None:
    assert main(["mine"]) == 0
    said = capfd.readouterr()
    assert "FAILED" not in said.out
    assert "failed" not in said.err
    found = rows(here / "results" / "mine" / "search.csv")
    thresholds = {trial.arm: trial.config.loss.color_threshold for trial in load().study.trials}
    assert {row["trial"] for row in found} == thresholds.keys()
    stopped = [row for row in found if row["outcome"] == "stopped early"]
    assert stopped
    assert {row["epochs"] for row in stopped} <= {"1", "2"}  # judged after epochs 1 and 2, not at the end
    winner = max(thresholds, key=thresholds.get)
    assert (found[0]["trial"], found[0]["outcome"], found[0]["epochs"]) == (winner, "finished", "4")
    assert "searched on instances_val.json" in said.out
    assert (
        "Searched on instances_val.json: mask_AP there chose" in (here / "results" / "mine" / "search.md").read_text()
    )

    recipe = here / "results" / "mine" / "mine.yaml"
    config = next(trial.config for trial in load().study.trials if trial.arm == winner)
    settings = load_recipe(str(recipe))
    assert settings["name"] == "mine"
    in_place = {"name": config.name, "data": settings["data"] | {"root": config.data.root}}
    assert build_config(settings | in_place, "winner") == config

    written = {path.name: path.read_bytes() for path in recipe.parent.iterdir()}
    assert main(["mine"]) == 0
    assert len(trained.read_text().splitlines()) == 6
    assert {path.name: path.read_bytes() for path in recipe.parent.iterdir()} == written
    Path("mine.yaml").write_text(FILE.format(trials=7))
    assert main(["mine"]) == 0
    assert trained.read_text().splitlines()[6:] == ["trial-006-seed3"]


def test_a_search_without_a_finished_trial_has_no_winner(here: Path, trained: Path, monkeypatch, capsys) -> None:
    def fails(settings: dict, jobs: Sequence[Job], store: Store, **others: object) -> None:
        job = next(job for job in jobs if job.key == settings["trial_key"])
        store.write(describe_job(job).changed(status="failed", reason="no luck"))

    monkeypatch.setattr(sweep_module, "train_job", fails)
    Path("mine.yaml").write_text(FILE.format(trials=2))
    assert main(["mine"]) == 2
    said = capsys.readouterr()
    assert "failed: mine: trial-001-seed3: no luck" in said.err
    assert "search 'mine': no trial finished with a mask_AP; see the reasons above" in said.err
    assert not os.path.exists("results")
