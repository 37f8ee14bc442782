"""The images that a search sees: those that its set chooses on, which no study reports and no winner takes along."""

from pathlib import Path

import pytest
import yaml

from experiments.params import load_params
from experiments.search.results import as_recipe
from experiments.settings import base_settings, load_studies
from tests.experiments.search.conftest import load

ROOT = Path(__file__).parents[3]
CHOICE = "choose_on: {data.val_images: val2, data.val_annotations: instances_val2.json, training.evaluate_every: 2}\n"


def test_a_search_sees_the_images_that_the_set_chooses_on_and_studies_do_not(here: Path) -> None:
    set_file = Path("experiments/sets/mine.yaml")
    set_file.write_text(set_file.read_text() + CHOICE)
    params = load_params(Path("params.yaml"))
    for trial in load().study.trials:
        assert (trial.config.data.val_images, trial.config.data.val_annotations) == ("val2", "instances_val2.json")
        assert trial.config.training.evaluate_every == 1  # of params.yaml, which has the last word
    (study,) = load_studies(["loss_terms"], params, "params.yaml")
    assert {trial.config.data.val_annotations for trial in study.trials} == {"instances_val.json"}


def test_the_winner_of_a_search_is_a_recipe_without_the_images_that_chose_it(here: Path) -> None:
    set_file = Path("experiments/sets/mine.yaml")
    set_file.write_text(set_file.read_text() + CHOICE)
    found = load()
    recipe = yaml.safe_load(as_recipe(found.study.trials[0].config, found.recipe, "The winner.", found.choose_on))
    assert {"extends", "loss.color_threshold", "loss.pairwise"} <= set(recipe)
    assert not [name for name in recipe if name.startswith(("data.val", "training.evaluate_every"))]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("{data.val_image: val}", r"mine.yaml: choose_on: .*val_image"),
        ("{data: {root: elsewhere}}", "mine.yaml: choose_on: data.root cannot be set"),
        ("{a.b.c.d.e.f.g.h.i: 1}", "mine.yaml: choose_on: "),
    ],
)
def test_what_a_set_chooses_on_must_be_settings(here: Path, choice: str, message: str) -> None:
    set_file = Path("experiments/sets/mine.yaml")
    set_file.write_text(f"{set_file.read_text()}choose_on: {choice}\n")
    with pytest.raises(ValueError, match=message):
        load_params(Path("params.yaml"))


@pytest.mark.parametrize("name", ["shapes", "scenes"])
def test_the_generated_sets_report_other_images_than_a_search_sees(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    params = load_params(Path("params.yaml"), name)
    reported, seen = base_settings(params, "params.yaml"), base_settings(params, "params.yaml", for_search=True)
    assert reported["data"]["val_annotations"] == "instances_test.json"
    assert seen["data"]["val_annotations"] == "instances_val.json"
