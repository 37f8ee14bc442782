import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis.robustness import findings, main
from analysis.study_order import STUDY_ORDER, in_order
from tests.analysis.domains_made_up import NUCLEI, PEOPLE, SHAPES, domains_of


def test_studies_stand_in_the_order_of_the_paper_and_unknown_ones_last():
    assert in_order(["b", "voc", "warmup", "a", "loss_terms"]) == ["loss_terms", "warmup", "voc", "a", "b"]
    known = {path.stem for path in (Path(__file__).parents[2] / "experiments/studies").glob("*.yaml")}
    assert known - set(STUDY_ORDER) == set()


def test_every_reference_with_studies_is_a_domain_and_so_is_this_run(write_domain):
    write_domain("reference/shapes", SHAPES, "shapes")
    write_domain("reference/people", PEOPLE, "people")
    Path("reference/objects").mkdir()  # only a measurement
    results = write_domain("results", PEOPLE, "people")
    domains = domains_of(results)
    assert [domain.title for domain in domains] == ["people, this run", "people", "shapes"]
    assert [domain.title for domain in domains_of(Path("reference/shapes"))] == ["people", "shapes"]
    assert [domain.title for domain in domains_of(results, references=None)] == ["people"]
    assert domains_of(Path("nowhere"), references=None) == []
    shutil.copytree("reference/shapes", "reference/.shapes.partial")  # of a publication that was killed
    assert [domain.title for domain in domains_of(results)] == ["people, this run", "people", "shapes"]


def test_a_finding_survives_where_it_holds_on_every_domain(write_domain):
    write_domain("reference/cells", SHAPES, "cells")
    write_domain("reference/scenes", {arm: [ap / 2 for ap in of] for arm, of in SHAPES.items()}, "scenes")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert found.text == "box as mask < projection only < projection + pairwise < full masks"
    assert (found.survival, found.reason) == ("survives", "holds on scenes, cells")
    write_domain("reference/nuclei", NUCLEI, "nuclei")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert (found.survival, found.reason) == ("does not survive", "fails on nuclei")
    assert found.verdicts["nuclei"].reason.startswith("projection only vs. box as mask: -10.0 AP")


def test_a_domain_with_one_seed_counts_only_where_no_two_have_more(write_domain):
    write_domain("reference/cells", SHAPES, "cells")
    write_domain("reference/people", PEOPLE, "people")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert (found.survival, found.reason) == ("open", "not told apart on people")
    write_domain("reference/scenes", {arm: [ap / 2 for ap in of] for arm, of in SHAPES.items()}, "scenes")
    (found,) = findings(domains_of(Path("reference/cells")))
    assert (found.survival, found.reason) == ("survives", "holds on scenes, cells")
    assert found.verdicts["people"].outcome == "not told apart"


def test_this_run_counts_only_where_its_recipe_has_no_reference(write_domain):
    write_domain("reference/cells", SHAPES, "cells")
    (found,) = findings(domains_of(write_domain("results", SHAPES, "cells")))
    assert (found.survival, found.reason) == ("open", "holds on cells, no other domain ran it")
    assert set(found.verdicts) == {"cells, this run", "cells"}
    (found,) = findings(domains_of(write_domain("results", SHAPES, "own")))
    assert found.reason == "holds on own, this run, cells"


def test_a_study_that_the_reference_of_its_recipe_lacks_counts_here(write_domain):
    write_domain("reference/cells", SHAPES, "cells")
    domains = domains_of(write_domain("results", SHAPES, "cells"))
    lacking = [replace(domain, studies=domain.studies if domain.here else {}) for domain in domains]
    (found,) = findings(lacking)
    assert (found.survival, found.reason) == ("open", "holds on cells, this run, no other domain ran it")


def test_a_recipe_does_not_count_for_the_study_that_it_was_made_for(write_domain):
    write_domain("reference/shapes", SHAPES, "shapes")
    write_domain("reference/scenes", SHAPES, "scenes")
    (found,) = findings(domains_of(Path("reference/shapes")))
    assert (found.survival, found.reason) == ("open", "holds on scenes, no other domain ran it")
    (found,) = findings([domain for domain in domains_of(Path("reference/shapes")) if domain.name == "shapes"])
    assert (found.survival, found.reason) == ("open", "no domain that counts ran it")
    assert found.verdicts["shapes"].outcome == "holds"


def test_the_table_is_written_with_every_comparison(write_domain, capsys):
    write_domain("reference/shapes", SHAPES, "shapes")
    write_domain("results", PEOPLE, "people")
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
