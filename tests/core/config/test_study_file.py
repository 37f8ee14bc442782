"""The arms of a study file, the same for the sweep and for the analysis."""

import pytest

from core.config.file import validated
from core.config.study_file import MOST_ARMS, StudyText


def test_arms_combine_with_every_value_of_vary_and_a_list_joins_by_dashes() -> None:
    content = {"arms": {"a": {"loss.dice": 2}, "b": {}}, "vary": {"data.short_sides": [[1, 2], [3]]}}
    assert [name for name, _, _ in StudyText.model_validate(content).points()] == [
        "a,short_sides=1-2",
        "a,short_sides=3",
        "b,short_sides=1-2",
        "b,short_sides=3",
    ]


def test_recipes_are_arms_and_nothing_at_all_is_none() -> None:
    assert [point[0] for point in StudyText(recipes={"a": "shapes"}).points()] == ["a"]
    assert StudyText().points() == []


def test_a_grid_beyond_the_limit_is_refused_before_it_is_built() -> None:
    grid = {f"field{i}": list(range(10)) for i in range(20)}
    with pytest.raises(ValueError, match=rf"x\.yaml: config: .*{10**20} arms, expected at most {MOST_ARMS}"):
        validated(StudyText, {"vary": grid}, "x.yaml")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"arms": 5}, "x.yaml: arms: .*found 5"),
        ({"arms": {"a": None}}, "x.yaml: arms.a: .*found None"),
        ({"labels": {"a": 1}}, "x.yaml: labels.a: .*found 1"),
        ({"vary": {"a": []}}, "x.yaml: vary.a: .*at least 1"),
        ({"vary": {"a": 3}}, "x.yaml: vary.a: .*found 3"),
        ({"recipes": {"a": "../b"}}, "x.yaml: recipes.a: .*expected letters"),
        ({"question": ["?"]}, "x.yaml: question: .*found"),
    ],
)
def test_a_value_of_another_type_is_named(content: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validated(StudyText, content, "x.yaml")
