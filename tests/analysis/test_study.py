import pytest

from analysis.study import expected_order, load_study

ARMS = ("box_mask", "projection", "pairwise", "both", "full")


@pytest.mark.parametrize(
    ("expectation", "order"),
    [
        (
            "box_mask < projection < both < full. Pairwise alone degenerates.",
            ("box_mask", "projection", "both", "full"),
        ),
        ("We expect box mask < both in mask AP", ("box_mask", "both")),
        ("pairwise only degenerates", ()),
        ("the loss falls (p < 0.05)", ()),
        ("fully < both", ()),
    ],
)
def test_the_expected_order_is_read_from_the_words(expectation, order):
    assert expected_order(expectation, ARMS) == order


def test_arms_of_a_grid_are_ordered_too():
    arms = ("color_threshold=0.0", "color_threshold=0.1")
    assert expected_order("color_threshold=0.0 < color_threshold=0.1", arms) == arms


def test_arms_follow_the_file_and_unknown_ones_come_last(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("arms: {a: {}, b: {}, c: {}}\nreference_arm: c")
    study = load_study(path, ["other", "c", "a"])
    assert study.arms == ("a", "c", "other")
    assert study.reference_arm == "c"
    assert load_study(path, ["a"]).reference_arm is None  # it has no results to compare with


def test_a_study_without_a_file_is_described_by_its_results(tmp_path):
    study = load_study(tmp_path / "x.yaml", ["b", "a", "b"])
    assert (study.arms, study.reference_arm, study.expected_order) == (("b", "a"), None, ())


def test_a_file_that_is_no_mapping_is_named(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("- a")
    with pytest.raises(ValueError, match=r"x\.yaml: expected a mapping, found list"):
        load_study(path, ["a"])
