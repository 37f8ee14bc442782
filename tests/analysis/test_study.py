import argparse

import pytest

from analysis.study import add_choice, chosen_studies, load_study
from core.config.file import read_yaml
from core.config.study_file import StudyFile, expand
from experiments.study import STUDIES


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


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_both_readers_find_the_same_arms_in_this_project_s_studies_and_each_has_a_label(path):
    arms = list(expand(StudyFile.model_validate(read_yaml(path))))
    study = load_study(path, sorted(arms))
    assert list(study.arms) == arms  # in the file's order
    assert list(study.labels) == arms
    assert study.has_words or study.expected_orders


def test_arms_follow_the_file_and_unknown_ones_come_last(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("arms: {a: {}, b: {}, c: {}}\nreference_arm: c")
    study = load_study(path, ["other", "c", "a"])
    assert study.arms == ("a", "c", "other")
    assert study.reference_arm == "c"
    assert load_study(path, ["a"]).reference_arm is None  # it has no results to compare with


@pytest.fixture
def load(tmp_path):
    def run(text, arms_with_results=()):
        (tmp_path / "x.yaml").write_text(text)
        return load_study(tmp_path / "x.yaml", list(arms_with_results))

    return run


def test_an_arm_has_its_label_or_those_of_its_parts_or_its_own_name(load):
    text = "vary: {loss.color_threshold: [0.1]}\narms: {weak: {}, my_own: {}}\nlabels: {weak: feeble, "
    study = load(text + '"color_threshold=0.1": τ = 0.1, "my_own,color_threshold=0.1": mine}')
    assert study.label("weak,color_threshold=0.1") == "feeble, τ = 0.1"
    assert study.label("my_own,color_threshold=0.1") == "mine"
    assert study.label("another_arm,mask_head_channels=16") == "another arm, mask head channels = 16"


def test_labels_view_and_x_are_read(load):
    study = load("arms: {a: {}}\nlabels: {a: first}\nview: mask_ratio\nx: supervision.mask_ratio", ["a"])
    assert (study.labels, study.view, study.x) == ({"a": "first"}, "mask_ratio", "supervision.mask_ratio")
    assert (study.name, load("arms: {a: {}}").view) == ("x", None)


@pytest.mark.parametrize(
    ("text", "arms", "message"),
    [
        ("arms: {both: {}}\nlabels: {bot: b}", [], r"x\.yaml: labels: no arm 'bot' \(did you mean 'both'\?\)"),
        ("recipes: {r50: a}\nlabels: {r51: b}", [], r"labels: no arm 'r51' \(did you mean 'r50'\?\)"),
        ("labels: {bot: b}", ["both"], r"labels: no arm 'bot' \(did you mean 'both'\?\)"),
        ("arms: {a: {}}\nlabels: [a]", [], r"x\.yaml: labels: Input should be an object, found \['a'\]"),
        ("arms: {both: {}, full: {}}\nexpectation: both < ful", [], r"x\.yaml: expectation: no arm 'ful'"),
    ],
)
def test_a_word_that_is_no_arm_is_named_with_file_and_nearest_arm(load, text, arms, message):
    with pytest.raises(ValueError, match=message):
        load(text, arms)


@pytest.mark.parametrize("place", ['labels: {"color_threshold=0": τ}', "expectation: color_threshold=0 < other"])
def test_a_misspelled_field_of_vary_is_never_suggested(load, place):
    with pytest.raises(ValueError, match=r"no arm '(color_threshold=0|other)'$") as error:
        load(f"vary: {{loss.color_treshold: [0, 0.1]}}\n{place}")
    assert "color_treshold" not in str(error.value)


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
        ("[", "studies: [a]", r"params\.yaml: not valid YAML"),
        ("set: shapes", "studies: a", r"shapes\.yaml: studies: expected a list of names, found 'a'"),
        ("set: shapes", "- a", r"shapes\.yaml: expected a mapping of settings, found list"),
    ],
)
def test_a_wrong_set_names_the_file_and_the_word(choose, params, of_set, message):
    with pytest.raises(ValueError, match=message):
        choose(params, of_set)


def test_a_file_that_is_no_mapping_is_named(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("- a")
    with pytest.raises(ValueError, match=r"x\.yaml: expected a mapping of settings, found list"):
        load_study(path, ["a"])


@pytest.mark.parametrize(
    "text",
    ["arms: 5", "vary: {a: 3}", "vary: [a]", "labels: {a: [b]}", "question: {a: b}", "recipes: {a: 5}", "view: [x]"],
)
def test_a_value_of_another_type_names_the_file(load, text):
    with pytest.raises(ValueError, match=r"x\.yaml: "):
        load(text)


@pytest.mark.parametrize("studies", ["[5]", "[../a]", "['']", "[[a]]", "[null]"])
def test_a_set_whose_studies_are_no_names_is_refused(choose, studies):
    with pytest.raises(ValueError, match=r"shapes\.yaml: studies: expected the name of a study, found"):
        choose("set: shapes", f"studies: {studies}")
