import argparse
from pathlib import Path

import pytest

from analysis.study import add_choice, chosen_studies, load_study, read_expectation
from core.config.file import read_yaml
from experiments.study import STUDIES, StudyFile, expand

ARMS = ("box_mask", "projection", "pairwise", "both", "full")


@pytest.mark.parametrize(
    ("expectation", "orders", "has_words"),
    [
        (
            "box_mask < projection < both < full. Pairwise alone degenerates.",
            (("box_mask", "projection", "both", "full"),),
            True,
        ),
        ("box_mask < both", (("box_mask", "both"),), False),
        ("We expect box mask < both in mask AP", (("box_mask", "both"),), True),
        (
            "`pairwise < both`, but projection < both < full.",
            (("pairwise", "both"), ("projection", "both", "full")),
            True,
        ),
        ("pairwise only degenerates", (), True),
        ("the loss falls (p < 0.05)", (), True),
        ("fully < both", (), True),
        ("", (), False),
    ],
)
def test_every_expected_order_is_read_from_the_words(expectation, orders, has_words):
    assert read_expectation(expectation, ARMS) == (orders, has_words)


def test_arms_of_a_grid_are_ordered_too_and_told_from_those_that_begin_alike():
    arms = ("color_threshold=0", "color_threshold=0.1", "color_threshold=0.3")
    assert read_expectation("color_threshold=0 < color_threshold=0.1", arms) == ((arms[:2],), False)
    assert read_expectation("color_threshold=0.2 < color_threshold=0.1", arms) == ((), True)


@pytest.mark.parametrize(
    ("name", "orders"),
    [
        ("warmup", [["pairwise_warmup=0", "pairwise_warmup=0.3"]]),
        (
            "neighborhood",
            [["neighborhood_size=3,neighborhood_dilation=1", "neighborhood_size=3,neighborhood_dilation=2"]],
        ),
        ("mask_ratio", [["masks_0", "masks_10", "masks_50", "masks_100"]]),
        ("voc", [["boxinst_r50", "boxinst_r101"]]),
    ],
)
def test_the_orders_that_this_project_s_studies_expect_are_read(name, orders):
    file = STUDIES / f"{name}.yaml"
    study = load_study(file, list(expand(StudyFile.model_validate(read_yaml(file)))))
    assert [list(order) for order in study.expected_orders] == orders


def test_arms_follow_the_file_and_unknown_ones_come_last(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("arms: {a: {}, b: {}, c: {}}\nreference_arm: c")
    study = load_study(path, ["other", "c", "a"])
    assert study.arms == ("a", "c", "other")
    assert study.reference_arm == "c"
    assert load_study(path, ["a"]).reference_arm is None  # it has no results to compare with


def test_a_study_without_a_file_is_described_by_its_results(tmp_path):
    study = load_study(tmp_path / "x.yaml", ["b", "a", "b"])
    assert (study.arms, study.reference_arm, study.expected_orders) == (("b", "a"), None, ())


@pytest.fixture
def choose(tmp_path):
    """The studies that `--params` chooses, with these texts in the params file and in sets/shapes.yaml."""

    def run(params, of_set="recipe: shapes\nstudies: [loss_terms, warmup]\n"):
        (tmp_path / "params.yaml").write_text(params)
        (tmp_path / "sets").mkdir(exist_ok=True)
        (tmp_path / "sets/shapes.yaml").write_text(of_set)
        parser = argparse.ArgumentParser()
        add_choice(parser)
        parser.add_argument("--study-files", type=Path)
        words = ["--params", str(tmp_path / "params.yaml"), "--study-files", str(tmp_path / "studies")]
        return chosen_studies(parser.parse_args(words))

    return run


def test_the_params_name_a_set_and_the_set_its_studies(choose):
    assert choose("set: shapes\nseeds: [0]\n") == ["loss_terms", "warmup"]


@pytest.mark.parametrize(
    ("params", "of_set", "message"),
    [
        ("set: shape", "studies: [a]", r"params\.yaml: set 'shape': no file .*shape\.yaml \(did you mean 'shapes'\?\)"),
        ("set: coco", "studies: [a]", r"params\.yaml: set 'coco': no file .*coco\.yaml$"),
        ("sets: shapes", "studies: [a]", r"params\.yaml: set: expected the name of a set, found None"),
        ("[", "studies: [a]", r"params\.yaml: cannot be read as YAML"),
        ("set: shapes", "studies: a", r"shapes\.yaml: studies: expected a list of names, found 'a'"),
        ("set: shapes", "- a", r"shapes\.yaml: expected a mapping, found list"),
    ],
)
def test_a_wrong_set_names_the_file_and_the_word(choose, params, of_set, message):
    with pytest.raises(ValueError, match=message):
        choose(params, of_set)


def test_a_file_that_is_no_mapping_is_named(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("- a")
    with pytest.raises(ValueError, match=r"x\.yaml: expected a mapping, found list"):
        load_study(path, ["a"])
