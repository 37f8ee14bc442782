"""The layouts of a data set that are found without being told."""

import json

import pytest

from core.config import DataConfig
from core.config.file import build_config
from core.config.recipe import load_recipe
from core.datasets.layout import LAYOUTS, NAMES, Layout, find_layout


def own() -> DataConfig:
    return build_config(load_recipe("own"), "own").data


def make(root, layout):
    for name in layout[::2]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(json.dumps({}))
    for name in layout[1::2]:
        (root / name).mkdir(exist_ok=True)


@pytest.mark.parametrize("names", LAYOUTS, ids=lambda names: names[1])
def test_every_usual_layout_is_found_and_becomes_settings_where_the_recipe_differs(tmp_path, names):
    make(tmp_path, names)
    found = find_layout(tmp_path, own(), {})
    assert found == Layout(*names)
    settings = found.settings(own())
    assert own().model_copy(update={name.partition(".")[2]: value for name, value in settings.items()}) == (
        own().model_copy(update=dict(zip(NAMES, names, strict=True)))
    )
    assert (settings == {}) == (names[1] == "images")


def test_the_names_of_the_recipe_come_first(tmp_path):
    for names in LAYOUTS:
        make(tmp_path, names)
    assert find_layout(tmp_path, DataConfig(), {}).train_images == "train2017"
    assert find_layout(tmp_path, own(), {}).train_images == "images"


def test_the_validation_set_may_be_missing(tmp_path):
    make(tmp_path, LAYOUTS[0])
    (tmp_path / "instances_val.json").unlink()
    assert find_layout(tmp_path, own(), {}).val_annotations == "instances_val.json"


def test_a_complete_layout_comes_before_one_without_validation_photos(tmp_path):
    make(tmp_path, LAYOUTS[1])
    (tmp_path / "photos").mkdir()
    assert find_layout(tmp_path, own(), {"train_images": "photos"}).val_images == "val"


def test_given_names_replace_those_of_each_layout(tmp_path):
    make(tmp_path, ("boxes.json", "photos", "instances_val.json", "images"))
    given = {"train_annotations": "boxes.json", "train_images": "photos", "val_images": None}
    expected = Layout("boxes.json", "photos", "instances_val.json", "images")
    assert find_layout(tmp_path, own(), given) == expected


def test_a_folder_of_another_layout_is_refused_with_what_was_looked_for(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(ValueError, match=r"instances_train.json with images/, or instances_train.json with train/, or"):
        find_layout(tmp_path, own(), {})
    with pytest.raises(ValueError, match="none: no such folder, expected a data set"):
        find_layout(tmp_path / "none", own(), {})
