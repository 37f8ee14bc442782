"""params.yaml and the sets: which recipe, studies and settings they give, and what they misspell."""

from functools import partial
from pathlib import Path

import pytest
import yaml

from core.config.file import read_yaml
from core.config.recipe import load_recipe
from experiments.params import Params, load_params
from experiments.settings import base_settings, load_studies
from experiments.study import STUDIES, load_study
from tests.experiments.conftest import write_params


def params_of(folder: Path, **asked: str) -> Params:
    return load_params(write_params(folder, **asked))


def test_the_projects_own_params_are_valid() -> None:
    params = load_params(STUDIES.parent.parent / "params.yaml")
    for name in params.studies:
        load_study(name, base_settings(params, "params.yaml"), params.seeds)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rest": "seed: [0]"}, r"params\.yaml: unknown key 'seed' .did you mean 'seeds'"),
        ({"rest": "seeds: [1, 1]"}, r"params\.yaml: seeds: .*the same entry twice"),
        ({"rest": "resources: {parallel: 0}"}, r"params\.yaml: .*did you mean 'resources.parallel"),
        ({"rest": "x: ["}, r"params\.yaml: not valid YAML"),
        ({"studies": "[]"}, r"mine\.yaml: studies: .*at least 1"),
        ({"studies": "[x, x]"}, r"mine\.yaml: studies: .*the same entry twice"),
        ({"studies": "[x]\nrecipes: a"}, r"mine\.yaml: unknown key 'recipes' .did you mean 'recipe'"),
        ({"recipe": "../shapes"}, r"mine\.yaml: recipe: .*expected letters, digits"),
    ],
)
def test_wrong_params_name_file_and_key(tmp_path: Path, asked: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s){message}"):
        params_of(tmp_path, **asked)


def test_every_set_of_the_project_names_a_recipe_and_studies_that_dvc_knows() -> None:
    root = STUDIES.parents[1]
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    names = sorted(path.stem for path in STUDIES.glob("*.yaml"))
    assert stages["study"]["matrix"]["study"] == stages["report"]["matrix"]["studies"] == names
    for path in sorted((root / "experiments" / "sets").glob("*.yaml")):
        content = read_yaml(path)
        load_recipe(content["recipe"])
        assert set(content["studies"]) <= set(names)


def test_settings_of_the_params_change_the_recipe_and_are_checked(tmp_path: Path) -> None:
    settings = base_settings(params_of(tmp_path, rest="settings: {training.epochs: 2}"), "params.yaml")
    assert settings["training"]["epochs"] == 2
    assert settings["data"]["root"] == str(tmp_path / "datasets" / "mine")
    with pytest.raises(ValueError, match=r"params\.yaml: settings: unknown key .*'training\.epochs'"):
        base_settings(params_of(tmp_path, rest="settings: {training.epoch: 2}"), "params.yaml")
    with pytest.raises(ValueError, match=r"params\.yaml: settings: data\.root cannot be set: the data of set 'mine'"):
        base_settings(params_of(tmp_path, rest="settings: {data.root: elsewhere}"), "params.yaml")


def test_whole_recipes_take_the_data_folder_and_the_settings_of_the_params(tmp_path: Path) -> None:
    params = params_of(tmp_path, studies="[voc]", rest="settings: {training.accumulation: 8}")
    settings_of = partial(base_settings, params, "params.yaml")
    assert settings_of()["name"] == "shapes"
    for trial in load_study("voc", settings_of(), (0,), recipe_settings=settings_of).trials:
        assert trial.config.name.startswith("voc_r")
        assert (trial.config.data.root, trial.config.training.accumulation) == (params.root, 8)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"recipe": "shape"}, r"mine\.yaml: recipe: no file .*shape\.yaml \(did you mean 'shapes'"),
        ({"studies": "[loss_term]"}, r"mine\.yaml: studies: no file .*loss_term\.yaml \(did you mean 'loss_terms'"),
        ({"rest": "settings: {data: null}"}, r"params\.yaml: settings: data: .*found None"),
        ({"rest": "settings: {a.b.c.d.e.f.g.h.i: 1}"}, r"params\.yaml: settings: unknown key"),
        (
            {"rest": "settings: {supervision.boxes_first: 0.5}"},
            r"params\.yaml: settings: supervision: .*boxes_first needs images with masks",
        ),
    ],
)
def test_wrong_names_and_settings_are_found_in_their_file(tmp_path: Path, asked: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        base_settings(params_of(tmp_path, **asked), str(tmp_path / "params.yaml"))


def test_settings_that_do_not_fit_an_arm_name_both_files(tmp_path: Path) -> None:
    params = params_of(tmp_path, rest="settings: {supervision.image_ratio: 0.5}")
    with pytest.raises(
        ValueError, match=r"(?s)loss_terms\.yaml: arm 'full': .*mask_ratio is 1.*settings of mine\.yaml"
    ):
        load_studies(["loss_terms"], params, "mine.yaml")
