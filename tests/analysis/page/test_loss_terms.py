"""The top of the page says which loss term matters on which domain, each domain once, and what is not certain."""

import re
from pathlib import Path

import pytest

from analysis.page.overview import overview
from analysis.plots.domains import domains_figure
from analysis.plots.figures import styled
from analysis.study_data import read_study_data
from tests.analysis.domains_made_up import NUCLEI, PEOPLE, SHAPES, domains_of


def top_of(domains):
    return overview(domains, Path("studies"), ["loss_terms"])


def test_the_top_says_which_loss_term_matters_and_what_differs(write_domain, write_edge_purity):
    write_domain("reference/shapes", SHAPES, "shapes")
    write_domain("reference/people", PEOPLE, "people")
    for name, purity in (("shapes", 0.999), ("people", 0.96)):
        write_edge_purity(Path("reference") / name, {0.3: (0.5, purity)})
    top = top_of(domains_of(Path("reference/shapes")))
    assert top.answer == (
        "The largest step is the pairwise term over projection only on people (+9.0 AP, one seed) and shapes (+32.0 "
        "AP). With boxes alone, networks reach 83 to 88 % of the AP of full masks."
    )
    # of 500 edges kept 20 and 0 cross a border
    assert top.gains.columns == (
        "projection term over box as mask",
        "pairwise term over projection only",
        "boxes reach, of full masks",
        "of the edges kept at τ = 0.3, across a border",
    )
    assert top.gains.rows[0] == ("people", ("+8.0 AP (one seed)", "+9.0 AP (one seed)", "83 %", "4.0 %"))
    title, cells = top.gains.rows[1]
    assert (title, cells[2:]) == ("shapes", ("88 %", "0.0 %"))
    assert re.fullmatch(r"\+32\.0 AP \(\+31\.\d to \+32\.\d, given these images\)", cells[1])
    # 2 / 23, 12 / 60.53
    assert top.difference == (
        "Between domains the share of full masks differs most for box as mask: from 9 % on people to 20 % on shapes."
    )
    assert top.aggregate == "No mean over domains: it takes two with two seeds or more each, there is only shapes."
    assert top.bars.width <= 1216


def test_several_domains_with_seeds_have_a_mean_with_an_interval(write_domain):
    write_domain("reference/shapes", SHAPES, "shapes")
    write_domain("reference/nuclei", NUCLEI, "nuclei")
    top = top_of(domains_of(Path("reference/shapes")))
    # 87.4, 87.5, 88.0 and 87.5, 87.6, 88.3 %
    assert top.aggregate.startswith("Over nuclei and shapes: 88 % of full masks (mean over domains; 95 % interval")


def test_where_domains_disagree_each_has_its_own_term(write_domain):
    write_domain("reference/shapes", SHAPES, "shapes")
    other = {"box_mask": [2.0], "projection": [18.0], "both": [19.0], "full": [23.0]}
    write_domain("reference/people", other, "people")
    answer = top_of(domains_of(Path("reference/shapes"))).answer
    assert answer.startswith(
        "The largest step is the projection term over box as mask on people (+16.0 AP, one seed) and the pairwise term "
        "over projection only on shapes (+32.0 AP)."
    )


def test_a_domain_that_ran_twice_is_named_once_by_the_run_with_more_seeds(write_domain):
    write_domain("reference/shapes", SHAPES, "shapes")
    write_domain("results", {arm: [ap + 5 for ap in of[:1]] for arm, of in SHAPES.items()}, "shapes")
    top = top_of(domains_of(Path("results")))
    assert "only on shapes (+32.0 AP)." in top.answer
    assert [title for title, _ in top.gains.rows] == ["shapes, this run", "shapes"]
    write_domain("results", {arm: [ap + 5 for ap in of] for arm, of in SHAPES.items()}, "shapes")
    assert "only on shapes, this run (+32.0 AP)." in top_of(domains_of(Path("results"))).answer


def test_a_gain_that_is_not_told_apart_says_so(write_domain):
    write_domain("reference/shapes", SHAPES | {"both": [19.0, 30.0, 60.0]}, "shapes")
    top = top_of(domains_of(Path("reference/shapes")))
    assert "only on shapes (+15.3 AP, not told apart)." in top.answer
    assert top.gains.rows[0][1][1].endswith(", not told apart, given these images)")


def test_every_study_has_a_cell_with_a_reason_on_every_domain(write_domain):
    write_domain("reference/shapes", SHAPES, "shapes")
    write_domain("reference/people", PEOPLE, "people")
    Path("studies/warmup.yaml").write_text("question: How long?\n")
    Path("sets").mkdir()
    Path("sets/people.yaml").write_text("recipe: people\nstudies: [loss_terms]\n")
    rows = top_of(domains_of(Path("reference/shapes"))).rows
    assert [(row.name, row.linked) for row in rows] == [("loss_terms", True), ("warmup", False)]
    assert [cell.outcome for row in rows for cell in row.cells] == [
        "not told apart",
        "holds",
        "not run",
        "not run",
    ]
    assert [cell.reason for cell in rows[1].cells] == [
        "not part of the set people",
        "no trials in reference/shapes",
    ]


def test_a_study_is_not_part_of_a_set_whatever_the_name_of_its_recipe(write_domain):
    write_domain("reference/coco_r50_1x", PEOPLE, "coco_r50_1x")
    Path("studies/warmup.yaml").write_text("question: How long?\n")
    Path("sets").mkdir()
    Path("sets/coco.yaml").write_text("recipe: coco_r50_1x\nstudies: [loss_terms]\n")
    rows = top_of(domains_of(Path("reference/coco_r50_1x"))).rows
    assert rows[1].cells[0].reason == "not part of the set coco"


def test_nothing_is_said_of_terms_that_did_not_run(write_domain):
    write_domain("results", {"full": [60.0]}, "own")
    top = top_of(domains_of(Path("results")))
    assert top.answer == "The study loss_terms has no two neighboring arms with a result yet."
    assert "what differs on others is unknown" in top.difference
    assert top_of([]).answer == "No domain has a result of the study loss_terms yet."
    assert top_of([]).bars is None


def test_bars_of_equal_length_are_equal_shares(write_domain):
    data = [
        read_study_data(Path("studies/loss_terms.yaml"), write_domain(f"reference/{name}", aps, name))
        for name, aps in (("shapes", SHAPES), ("people", PEOPLE))
    ]
    with styled():
        figure = domains_figure(["shapes", "people"], data)
    for axis, full in zip(figure.axes, (60.533, 23.0), strict=True):
        assert axis.get_xlim()[1] / full == pytest.approx(1.5, abs=1e-3)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["12.0 (20 %)", "21.0 (35 %)", "53.0 (88 %)", "60.5 (100 %)"]
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["shapes, 3 seeds", "people, 1 seed"]
