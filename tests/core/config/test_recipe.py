"""The recipes on COCO state what AdelaiDet's resolved configs do; each tells of its network what its file name says."""

from functools import reduce
from pathlib import Path

import pytest
import yaml

from core.checkpoints.network import without_weights
from core.config import Config
from core.config.dotted import leaves
from core.config.file import build_config, field_paths
from core.config.loss import MASK_TERMS
from core.config.recipe import RECIPES, load_recipe
from core.training.effective_batch import scale_to_batch
from tests.core.config.test_released_settings import settings
from tests.core.released_networks import GOLDEN_DIR, config_of

RELEASED = {
    "coco_r50_1x": "boxinst",
    "coco_r101_3x": "boxinst_r101",
    "coco_r101_bifpn_dcn_3x": "boxinst_r101_bifpn_dcn",
    "condinst_coco_r50_1x": "condinst",
}
GPU_RECIPES = sorted(path.stem for path in RECIPES.glob("*.yaml") if "coco" in path.stem or "voc" in path.stem)


def config_named(recipe: str) -> Config:
    return build_config(load_recipe(recipe), recipe)


def test_the_first_recipe_states_every_setting_but_loss_terms_that_are_off_unless_asked_for() -> None:
    stated, off = set(leaves(load_recipe("coco_r50_1x"))), {f"loss.{name}" for name in MASK_TERMS}
    off -= {f"loss.{name}" for name in Config().loss.used_terms}
    assert stated - off == set(field_paths()) - off


@pytest.mark.parametrize(("recipe", "network"), RELEASED.items())
def test_recipes_state_the_values_of_adelaidets_configs_golden(recipe: str, network: str) -> None:
    theirs = yaml.safe_load((GOLDEN_DIR / f"config_{network}.yaml").read_text())
    config = config_named(recipe)
    training = config.training
    ours = settings(config) | {
        "SOLVER.IMS_PER_BATCH": training.schedule_batch_size,
        "SOLVER.MAX_ITER": training.steps,
        "SOLVER.STEPS": [round(drop * training.steps) for drop in training.drops],
        "SOLVER.CLIP_GRADIENTS.ENABLED": training.clip_gradient_norm is not None,
        "SOLVER.AMP.ENABLED": training.precision != "float32",
        "INPUT.RANDOM_FLIP": {0.5: "horizontal"}[config.data.flip_probability],
        "DATALOADER.FILTER_EMPTY_ANNOTATIONS": config.data.drop_images_without_boxes,
    }
    assert ours == {key: reduce(lambda section, name: section[name], key.split("."), theirs) for key in ours}


@pytest.mark.parametrize(("recipe", "network"), RELEASED.items())
def test_recipes_build_the_networks_of_the_recorded_values_golden(recipe: str, network: str) -> None:
    ours, theirs = config_named(recipe), config_of(network)
    assert without_weights(ours.model) == theirs.model
    assert ours.assignment == theirs.assignment
    assert ours.inference == theirs.inference


@pytest.mark.parametrize("recipe", GPU_RECIPES)
def test_a_recipe_keeps_what_its_name_says(recipe: str) -> None:
    config = config_named(recipe)
    trunk = "R-101" if "r101" in recipe else "R-50"
    assert config.model.backbone.name == f"resnet{trunk[2:]}"
    assert config.model.backbone.weights == f"weights/{trunk}.pkl"
    assert config.model.pyramid == ("bifpn" if "bifpn" in recipe else "fpn")
    assert (config.model.backbone.deformable_interval is not None) == ("dcn" in recipe)
    assert config.model.semantic_head == recipe.endswith("_sem")
    assert config.supervision.mask_ratio == (1 if recipe.startswith("condinst") else 0)
    steps = 270_000 if "3x" in recipe else 18_000 if "voc" in recipe else 90_000
    assert config.training.steps == steps
    assert round(config.loss.pairwise_warmup * steps) == (1_000 if "voc" in recipe else 10_000)


def test_eight_workers_train_the_schedule_as_it_is_stated() -> None:
    for recipe in GPU_RECIPES:
        training = config_named(recipe).training
        assert scale_to_batch(training, num_workers=8) is training


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a": "extends: 5"}, r"a\.yaml: extends: found 5, expected the name of a recipe"),
        ({"a": "extends: [b]"}, r"a\.yaml: extends: found \['b'\], expected the name"),
        ({"a": "extends: ../b"}, r"a\.yaml: extends: recipe '\.\./b': expected letters"),
        ({"a": "extends: b"}, r"a\.yaml: extends: recipe 'b': no file"),
        ({"a": "extends: a"}, r"a\.yaml: extends: a extends a, expected a chain that ends"),
        ({"a": "extends: b", "b": "extends: a"}, r"b\.yaml: extends: a extends b extends a, expected a chain"),
        ({"a": "extends: b", "b": "loss.dice: -1"}, r"a\.yaml: extends: .*b\.yaml: loss\.dice: .*found -1"),
        ({"a": "a.b.c.d.e.f.g.h.i: 1"}, r"a\.yaml: unknown key 'a\.b.*a name of 9 parts, expected at most 8"),
    ],
)
def test_a_recipe_that_cannot_be_put_together_is_named(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_recipe("a", tmp_path)


def test_a_recipe_extends_another(tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text("training: {steps: 180000}\nloss.dice: 2\n")
    (tmp_path / "wide.yaml").write_text("extends: long\nmodel: {pyramid_channels: 512}\n")
    assert load_recipe("wide", tmp_path) == {
        "name": "wide",
        "training": {"steps": 180000},
        "loss": {"dice": 2},
        "model": {"pyramid_channels": 512},
    }
