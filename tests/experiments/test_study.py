"""Study files expand to trials that name real settings; what they misspell is named."""

from pathlib import Path

import pytest

from core.config.file import field_paths, read_yaml
from core.config.recipe import RECIPES, load_recipe
from experiments.study import STUDIES, Study, load_study

BASE = {"name": "base", "training": {"steps": 5}}
HEAD = "question: q\nsource: s\nexpectation: a < b\n"


def study_of(folder: Path, text: str, seeds: tuple[int, ...] = (0,), head: str = HEAD) -> Study:
    (folder / "x.yaml").write_text(head + text)
    return load_study("x", BASE, seeds, folder)


# A semantic head learns from masks: arms without any refuse the `sem` recipes.
@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("*.yaml") if "_sem" not in path.stem))
@pytest.mark.parametrize("name", sorted(path.stem for path in STUDIES.glob("*.yaml")))
def test_every_study_expands_over_every_recipe_and_names_real_settings(recipe: str, name: str) -> None:
    study = load_study(name, load_recipe(recipe), (0, 1))
    assert len(study.trials) == 2 * len(study.arms)
    assert set(study.varied) <= set(field_paths())
    whole_recipes = set(read_yaml(STUDIES / f"{name}.yaml").get("recipes", {}).values())
    assert {trial.config.name for trial in study.trials} == (whole_recipes or {recipe})


def test_arms_of_the_loss_terms_differ_in_supervision_and_loss_alone() -> None:
    trials = load_study("loss_terms", load_recipe("shapes"), (0,)).trials
    without = [trial.config.model_dump(exclude={"supervision", "loss"}) for trial in trials]
    assert all(settings == without[0] for settings in without)
    masks = {trial.arm: trial.config.supervision.mask_ratio for trial in trials}
    assert masks == {"box_mask": 0, "projection": 0, "pairwise": 0, "both": 0, "full": 1}


def test_trials_stand_in_the_order_of_arms_then_seeds(tmp_path: Path) -> None:
    study = study_of(tmp_path, "arms: {b: {loss.dice: 2}, a: {loss: {pairwise: 0}}}", seeds=(3, 1))
    assert [trial.name for trial in study.trials] == ["b-seed3", "b-seed1", "a-seed3", "a-seed1"]
    # every trial has a value for every field that any arm names
    assert study.trials[0].varied == {"loss.dice": 2.0, "loss.pairwise": 1.0}
    assert study.trials[2].varied == {"loss.dice": 1.0, "loss.pairwise": 0.0}


def test_vary_makes_a_grid_in_plain_yaml(tmp_path: Path) -> None:
    study = study_of(tmp_path, "vary: {loss.neighborhood_size: [3, 5], loss.neighborhood_dilation: [1, 2]}")
    assert study.arms == (
        "neighborhood_size=3,neighborhood_dilation=1",
        "neighborhood_size=3,neighborhood_dilation=2",
        "neighborhood_size=5,neighborhood_dilation=1",
        "neighborhood_size=5,neighborhood_dilation=2",
    )
    assert study.trials[2].config.loss.neighborhood_size == 5


def test_arms_and_vary_together_give_every_arm_with_every_value(tmp_path: Path) -> None:
    text = "arms: {weak: {}, strong: {loss.dice: 0}}\nvary: {loss.color_threshold: [0.1, 0.3]}"
    assert study_of(tmp_path, text).arms == (
        "weak,color_threshold=0.1",
        "weak,color_threshold=0.3",
        "strong,color_threshold=0.1",
        "strong,color_threshold=0.3",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arms: {a: {loss.color_treshold: 0.1}}", "arm 'a': unknown key .* 'loss.color_threshold'"),
        ("arms: {a: {color_threshold: 0.1}}", "did you mean 'loss.color_threshold'"),
        ("arm: {a: {}}", "unknown key 'arm' .did you mean 'arms'"),
        ("arms: {a: {loss.dice: -1}}", "arm 'a': loss.dice: .*found -1"),
        ("arms: {a: {loss.dice: [1]}}", "arm 'a': loss.dice"),
        ("arms: {a: {loss: 3}}", "arm 'a': loss: .*found 3"),
        ("arms: {a: 3}", "arms.a: .*found 3"),
        ("arms: {a/b: {}}", "arm 'a/b': expected only letters"),
        ("arms: {a: {}, b: {loss.dice: 1.0}}", "arms 'a' and 'b' have the same settings"),
        ("vary: {loss.color_threshold: [0.1, 0.1]}", "vary gives 'color_threshold=0.1' twice"),
        ("vary: {loss.color_threshold: []}", "vary.loss.color_threshold: .*at least 1"),
        ("vary: {data.root: [here, there]}", "a study cannot set data.root"),
        ("arms: {}", "nothing to compare: expected arms, vary or recipes"),
        ("arms: {a: {}}\nrecipes: {b: shapes}", "expected no arms or vary beside them"),
        ("recipes: {a: shape}", "recipe 'shape': no file .*did you mean 'shapes'"),
        ("recipes: {a: shapes, b: shapes}", "arms 'a' and 'b' have the same settings"),
        ("recipes: {a: shapes}\nsettings: {training.epoch: 2}", "arm 'a': unknown key 'training.epoch'"),
        ("arms: {both: {}}\nreference_arm: bot", "reference_arm: no arm 'bot' .did you mean 'both'"),
        ("arms: {both: {}}\nlabels: {bot: b}", "labels: no arm 'bot' .did you mean 'both'"),
        ("arms: {both: {}}\nlabels: {both: [b]}", "labels.both: .*found"),
        (
            "arms: {both: {}}\nview: colour_threshold",
            "view: no view 'colour_threshold' .did you mean 'color_threshold'",
        ),
        ("arms: {both: {}}\nview: color_threshold", "x: the view 'color_threshold' needs the field"),
        ("arms: {both: {}}\nx: loss.dice", "x: only the views color_threshold, mask_ratio are drawn .* view: None"),
        (
            "vary: {loss.color_threshold: [0, 0.1]}\nview: color_threshold\nx: loss.color_treshold",
            "x: 'loss.color_treshold' is no field that the study varies .did you mean 'loss.color_threshold'",
        ),
    ],
)
def test_a_wrong_study_names_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"x\.yaml: .*" + message):
        study_of(tmp_path, text)


@pytest.mark.parametrize(
    ("expectation", "message"),
    [
        ("bot < full", "expectation: no arm 'bot' .did you mean 'both'"),
        ("both < ful. It is so.", "expectation: no arm 'ful' .did you mean 'full'"),
        ("bth < fll", "expectation: no arm 'bth' .did you mean 'both'"),  # none is an arm
        ("both < everything", "expectation: no arm 'everything'$"),
    ],
)
def test_an_expectation_that_misspells_an_arm_is_an_error(tmp_path: Path, expectation: str, message: str) -> None:
    head = f"question: q\nsource: s\nexpectation: {expectation}\n"
    with pytest.raises(ValueError, match=r"x\.yaml: " + message):
        study_of(tmp_path, "arms: {both: {}, full: {loss.dice: 2}}", head=head)


@pytest.mark.parametrize("expectation", ["both < full", "`both < full`, but both < 50, p < 0.05", "labor < accuracy"])
def test_other_words_beside_a_less_than_state_no_order(tmp_path: Path, expectation: str) -> None:
    head = f'question: q\nsource: s\nexpectation: "{expectation}"\n'
    assert study_of(tmp_path, "arms: {both: {}, full: {loss.dice: 2}}", head=head).arms == ("both", "full")


@pytest.mark.parametrize(
    "place",
    [
        "reference_arm: color_threshold=0.1",
        "labels: {color_threshold=0.1: τ}",
        "view: color_threshold\nx: loss.color_threshold",
    ],
)
def test_a_misspelled_field_of_vary_is_named_and_never_suggested(tmp_path: Path, place: str) -> None:
    head = HEAD.replace("a < b", "color_threshold=0 < color_threshold=0.1")
    with pytest.raises(ValueError, match=r"unknown key 'loss.color_treshold' .did you mean '(.*)'") as error:
        study_of(tmp_path, f"vary: {{loss.color_treshold: [0, 0.1]}}\n{place}", head=head)
    assert "did you mean 'loss.color_threshold'" in str(error.value)


def test_a_label_may_name_a_part_of_an_arm(tmp_path: Path) -> None:
    text = "arms: {weak: {}, strong: {loss.dice: 0}}\nvary: {loss.color_threshold: [0.1]}\nlabels: "
    study_of(tmp_path, text + "{weak: feeble, color_threshold=0.1: τ, 'strong,color_threshold=0.1': s}")
    with pytest.raises(ValueError, match=r"labels: no arm 'wea' .did you mean 'weak'"):
        study_of(tmp_path, text + "{wea: feeble}")


def test_a_study_needs_its_question(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.yaml: question: Field required"):
        study_of(tmp_path, "arms: {a: {}}", head="source: s\nexpectation: e\n")


def test_a_misspelled_study_or_recipe_names_the_nearest_one() -> None:
    with pytest.raises(ValueError, match=r"loss_term\.yaml .did you mean 'loss_terms'"):
        load_study("loss_term", BASE, (0,))
    with pytest.raises(ValueError, match=r"shape\.yaml .did you mean 'shapes'"):
        load_recipe("shape")


def test_arms_may_be_whole_recipes_with_shared_settings_on_top(tmp_path: Path) -> None:
    study = study_of(
        tmp_path, "recipes: {slow: coco_r50_1x, fast: coco_r101_1x}\nsettings: {loss.color_threshold: 0.1}"
    )
    slow, fast = (trial.config for trial in study.trials)
    assert (study.arms, slow.name, fast.name) == (("slow", "fast"), "coco_r50_1x", "coco_r101_1x")
    assert slow.loss.color_threshold == fast.loss.color_threshold == 0.1
    assert study.varied == ("name", "model.backbone.name", "model.backbone.weights")
    assert study.trials[1].varied["model.backbone.name"] == "resnet101"
