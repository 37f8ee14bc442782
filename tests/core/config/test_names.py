"""Names are words that no shell, path, HTML, LaTeX or spreadsheet reads as its own."""

import pytest

from core.config.names import checked_arm, checked_key, checked_name, checked_study, plain
from core.config.recipe import load_recipe

HOSTILE = [
    "",
    "loss_terms; touch x; #",
    "$(touch x)",
    "`touch x`",
    "a b",
    "a\nb",
    "a'b",
    'a"b',
    "a|b",
    "a&b",
    "../a",
    "a/b",
    "/etc/passwd",
    "..",
    "~",
    "-rf",
    "--help",
    "<script>alert(1)</script>",
    "&lt;",
    "\\input{x}",
    "a%b",
    "a#b",
    "a{b}",
    "$x^2$",
    '=cmd|"/c calc"!A1',
    "+1",
    "@SUM(1)",
    "ü",
    "a\u202eb",
    "a\x00b",
    "a" * 200,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_wherever_a_name_is_asked_for(name: str) -> None:
    for check in (plain, checked_study, checked_arm, checked_key, lambda name: checked_name("set", name)):
        with pytest.raises(ValueError, match="expected"):
            check(name)
    with pytest.raises(ValueError, match=r"^recipe .*expected letters, digits"):
        load_recipe(name)


@pytest.mark.parametrize("name", [None, 5, ["a"]])
def test_what_is_no_text_is_no_name(name: object) -> None:
    with pytest.raises(ValueError, match=r"^set .*: expected letters, digits"):
        checked_name("set", name)


@pytest.mark.parametrize("name", ["loss_terms", "R-50", "8", "_x"])
def test_plain_names_are_names(name: str) -> None:
    assert plain(name) == checked_study(name) == checked_arm(name) == name


@pytest.mark.parametrize("name", ["color_threshold=0.1", "a,b=1e-05,c=-1", "model.x=+1"])
def test_an_arm_may_hold_the_values_of_a_grid(name: str) -> None:
    assert checked_arm(name) == name
    with pytest.raises(ValueError, match="expected"):
        checked_study(name)


@pytest.mark.parametrize("name", ["tables", "plots", "edge_purity", "published_main", "loss_curves", "loss_terms_arms"])
def test_a_study_has_no_name_of_other_results(name: str) -> None:
    with pytest.raises(ValueError, match=f"study '{name}': the results have other files of this name"):
        checked_study(name)
