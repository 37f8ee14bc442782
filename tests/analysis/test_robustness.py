import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.domains import read_domains
from analysis.page.overview import overview
from analysis.plots.domains import domains_figure
from analysis.plots.figures import styled
from analysis.robustness import findings, main
from analysis.study_data import read_study_data
from analysis.study_order import STUDY_ORDER, in_order

SHAPES = {  # neighbors differ by the same in every seed, but for rounding
    "box_mask": [11.0, 12.0, 13.0],
    "projection": [20.0, 21.1, 22.0],
    "both": [52.0, 53.0, 54.1],
    "full": [59.5, 60.6, 61.5],
}
PEOPLE = {"box_mask": [2.0], "projection": [10.0], "both": [19.0], "full": [23.0]}
NUCLEI = {  # the box is almost the mask: its arm is above projection
    "box_mask": [30.0, 31.0, 32.1],
    "projection": [20.0, 21.1, 22.0],
    "both": [35.0, 36.0, 37.1],
    "full": [40.0, 41.1, 42.0],
}
LOSSES = {"box_mask": (0, 0), "projection": (1, 0), "both": (1, 1), "full": (0, 0)}  # projection, pairwise


@pytest.fixture
def here(tmp_path, monkeypatch, study, write_results, write_records):
    """The project's folder: writes the loss terms of a domain to a folder, with the weights in the records."""
    monkeypatch.chdir(tmp_path)

    def write(folder: str, aps: dict, recipe: str) -> Path:
        csv = write_results(Path(folder), aps)
        write_records(Path(folder), recipe=recipe)
        for trial in pd.read_csv(csv).itertuples():
            path = Path(folder) / "loss_terms/trials" / f"{trial.trial_key}.json"
            projection, pairwise = LOSSES[trial.arm]
            weights = f'"loss": {{"projection": {projection}, "pairwise": {pairwise}}}, "model"'
            path.write_text(path.read_text().replace('"model"', weights, 1))
        return Path(folder)

    return write


def domains_of(results: Path, *, references: Path | None = Path("reference")):
    studies = {"loss_terms": read_study_data(Path("studies/loss_terms.yaml"), results)} if results.exists() else {}
    return read_domains(results, studies, Path("studies"), references)


def top_of(domains):
    return overview(domains, Path("studies"), ["loss_terms"])


def test_studies_stand_in_the_order_of_the_paper_and_unknown_ones_last():
    assert in_order(["b", "voc", "warmup", "a", "loss_terms"]) == ["loss_terms", "warmup", "voc", "a", "b"]
    known = {path.stem for path in (Path(__file__).parents[2] / "experiments/studies").glob("*.yaml")}
    assert known - set(STUDY_ORDER) == set()


def test_every_reference_with_studies_is_a_domain_and_so_is_this_run(here):
    here("reference/shapes", SHAPES, "shapes")
    here("reference/people", PEOPLE, "people")
    Path("reference/objects").mkdir()  # only a measurement
    results = here("results", PEOPLE, "people")
    domains = domains_of(results)
    assert [domain.title for domain in domains] == ["people, this run", "people", "shapes"]
    assert [domain.title for domain in domains_of(Path("reference/shapes"))] == ["people", "shapes"]
    assert [domain.title for domain in domains_of(results, references=None)] == ["people"]
    assert domains_of(Path("nowhere"), references=None) == []
    shutil.copytree("reference/shapes", "reference/.shapes.partial")  # of a publication that was killed
    assert [domain.title for domain in domains_of(results)] == ["people, this run", "people", "shapes"]


def test_a_finding_survives_where_it_holds_on_every_domain(here):
    here("reference/cells", SHAPES, "cells")
    here("reference/scenes", {arm: [ap / 2 for ap in of] for arm, of in SHAPES.items()}, "scenes")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert found.text == "box as mask < projection only < projection + pairwise < full masks"
    assert (found.survival, found.reason) == ("survives", "holds on scenes, cells")
    here("reference/nuclei", NUCLEI, "nuclei")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert (found.survival, found.reason) == ("does not survive", "fails on nuclei")
    assert found.verdicts["nuclei"].reason.startswith("projection only vs. box as mask: -10.0 AP")


def test_a_domain_with_one_seed_counts_only_where_no_two_have_more(here):
    here("reference/cells", SHAPES, "cells")
    here("reference/people", PEOPLE, "people")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert (found.survival, found.reason) == ("open", "not told apart on people")
    here("reference/scenes", {arm: [ap / 2 for ap in of] for arm, of in SHAPES.items()}, "scenes")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert (found.survival, found.reason) == ("survives", "holds on scenes, cells")
    assert found.verdicts["people"].outcome == "not told apart"


def test_this_run_counts_only_where_its_recipe_has_no_reference(here):
    here("reference/cells", SHAPES, "cells")
    (found,) = findings(domains_of(here("results", SHAPES, "cells")))
    assert (found.survival, found.reason) == ("open", "holds on cells, no other domain ran it")
    assert set(found.verdicts) == {"cells, this run", "cells"}
    (found,) = findings(domains_of(here("results", SHAPES, "own")))
    assert found.reason == "holds on own, this run, cells"


def test_a_study_that_the_reference_of_its_recipe_lacks_counts_here(here):
    here("reference/cells", SHAPES, "cells")
    domains = domains_of(here("results", SHAPES, "cells"))
    lacking = [replace(domain, studies=domain.studies if domain.here else {}) for domain in domains]
    (found,) = findings(lacking)
    assert (found.survival, found.reason) == ("open", "holds on cells, this run, no other domain ran it")


def test_a_recipe_does_not_count_for_the_study_that_it_was_made_for(here):
    here("reference/shapes", SHAPES, "shapes")
    here("reference/scenes", SHAPES, "scenes")
    (found,) = findings(domains_of(Path("reference/shapes")))
    assert (found.survival, found.reason) == ("open", "holds on scenes, no other domain ran it")
    (found,) = findings([domain for domain in domains_of(Path("reference/shapes")) if domain.name == "shapes"])
    assert (found.survival, found.reason) == ("open", "no domain that counts ran it")
    assert found.verdicts["shapes"].outcome == "holds"


def test_the_table_is_written_with_every_comparison(here, capsys):
    here("reference/shapes", SHAPES, "shapes")
    here("results", PEOPLE, "people")
    assert main(["--study-files", "studies"]) == 0
    table = pd.read_csv("results/tables/robustness.csv")
    assert list(table) == ["study", "finding", "over domains", "people, this run", "shapes"]
    assert table["over domains"].tolist() == ["open: not told apart on people, this run"]
    assert "| loss terms | box as mask < projection only" in Path("results/tables/robustness.md").read_text()
    compared = pd.read_csv("results/tables/comparisons.csv", index_col=0)
    assert compared.loc["loss_terms: both - projection", "difference"] == 9.0
    assert (
        "| projection + pairwise - projection only |       +9.0 |" in Path("results/tables/comparisons.md").read_text()
    )


def test_the_top_says_which_loss_term_matters_and_what_differs(here, write_edge_purity):
    here("reference/shapes", SHAPES, "shapes")
    here("reference/people", PEOPLE, "people")
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


def test_several_domains_with_seeds_have_a_mean_with_an_interval(here):
    here("reference/shapes", SHAPES, "shapes")
    here("reference/nuclei", NUCLEI, "nuclei")
    top = top_of(domains_of(Path("reference/shapes")))
    # 87.4, 87.5, 88.0 and 87.5, 87.6, 88.3 %
    assert top.aggregate.startswith("Over nuclei and shapes: 88 % of full masks (mean over domains; 95 % interval")


def test_where_domains_disagree_each_has_its_own_term(here):
    here("reference/shapes", SHAPES, "shapes")
    other = {"box_mask": [2.0], "projection": [18.0], "both": [19.0], "full": [23.0]}
    here("reference/people", other, "people")
    answer = top_of(domains_of(Path("reference/shapes"))).answer
    assert answer.startswith(
        "The largest step is the projection term over box as mask on people (+16.0 AP, one seed) and the pairwise term "
        "over projection only on shapes (+32.0 AP)."
    )


def test_a_domain_that_ran_twice_is_named_once_by_the_run_with_more_seeds(here):
    here("reference/shapes", SHAPES, "shapes")
    here("results", {arm: [ap + 5 for ap in of[:1]] for arm, of in SHAPES.items()}, "shapes")
    top = top_of(domains_of(Path("results")))
    assert "only on shapes (+32.0 AP)." in top.answer
    assert [title for title, _ in top.gains.rows] == ["shapes, this run", "shapes"]
    here("results", {arm: [ap + 5 for ap in of] for arm, of in SHAPES.items()}, "shapes")
    assert "only on shapes, this run (+32.0 AP)." in top_of(domains_of(Path("results"))).answer


def test_a_gain_that_is_not_told_apart_says_so(here):
    here("reference/shapes", SHAPES | {"both": [19.0, 30.0, 60.0]}, "shapes")
    top = top_of(domains_of(Path("reference/shapes")))
    assert "only on shapes (+15.3 AP, not told apart)." in top.answer
    assert top.gains.rows[0][1][1].endswith(", not told apart, given these images)")


def test_every_study_has_a_cell_with_a_reason_on_every_domain(here):
    here("reference/shapes", SHAPES, "shapes")
    here("reference/people", PEOPLE, "people")
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


def test_a_study_is_not_part_of_a_set_whatever_the_name_of_its_recipe(here):
    here("reference/coco_r50_1x", PEOPLE, "coco_r50_1x")
    Path("studies/warmup.yaml").write_text("question: How long?\n")
    Path("sets").mkdir()
    Path("sets/coco.yaml").write_text("recipe: coco_r50_1x\nstudies: [loss_terms]\n")
    rows = top_of(domains_of(Path("reference/coco_r50_1x"))).rows
    assert rows[1].cells[0].reason == "not part of the set coco"


def test_nothing_is_said_of_terms_that_did_not_run(here):
    here("results", {"full": [60.0]}, "own")
    top = top_of(domains_of(Path("results")))
    assert top.answer == "The study loss_terms has no two neighboring arms with a result yet."
    assert "what differs on others is unknown" in top.difference
    assert top_of([]).answer == "No domain has a result of the study loss_terms yet."
    assert top_of([]).bars is None


def test_bars_of_equal_length_are_equal_shares(here):
    data = [
        read_study_data(Path("studies/loss_terms.yaml"), here(f"reference/{name}", aps, name))
        for name, aps in (("shapes", SHAPES), ("people", PEOPLE))
    ]
    with styled():
        figure = domains_figure(["shapes", "people"], data)
    for axis, full in zip(figure.axes, (60.533, 23.0), strict=True):
        assert axis.get_xlim()[1] / full == pytest.approx(1.5, abs=1e-3)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["12.0 (20 %)", "21.0 (35 %)", "53.0 (88 %)", "60.5 (100 %)"]
    assert [axis.get_title(loc="left") for axis in figure.axes] == ["shapes, 3 seeds", "people, 1 seed"]
