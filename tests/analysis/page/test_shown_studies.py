"""Which studies the page shows, and what it says of the others."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imsave

from analysis.page.html import main
from analysis.published_tables import main as published_tables
from analysis.report import main as report
from tests.analysis.page.page_parser import Page


@pytest.fixture
def two_studies(tmp_path, monkeypatch, write_study, write_edge_purity):
    """results/ of `color_threshold`, whose τ = 0 does no harm, and of `warmup`, with the purity of the edges."""
    monkeypatch.chdir(tmp_path)
    expectation = {"color_threshold": "expectation: 0 is worst", "warmup": "question: How long?"}
    aps = {
        "color_threshold": {"color_threshold=0": [51.0, 52.0], "color_threshold=0.3": [50.0, 50.0]},
        "warmup": {"pairwise_warmup=0": [50.0]},
    }
    for name, of_arms in aps.items():
        write_study(tmp_path / "results", name, of_arms, header=expectation[name])
    Path("results/studies/main.yaml").write_text("question: How far?\n")
    write_edge_purity(Path("results"), {0.0: (1.0, 0.975), 0.3: (0.5, 0.99)})
    monkeypatch.setattr("analysis.report.draw_study", lambda *arguments: [])
    assert report(["--study-files", "results/studies"]) == 0
    assert published_tables(["--study-files", "results/studies"]) == 0
    Path("results/plots").mkdir(exist_ok=True)
    for stem in ("color_threshold", "warmup_curves"):
        imsave(f"results/plots/{stem}.png", np.zeros((8, 8, 3)))

    def page(*arguments):
        assert main(["--study-files", "results/studies", *arguments]) == 0
        return Path("results/report.html").read_text()

    return page


def test_the_verdict_of_the_color_threshold_knows_the_purity_of_the_edges(two_studies):
    assert "97.5 % of all edges in the boxes join two pixels with the same true label" in two_studies()


def test_studies_that_are_not_asked_for_are_not_shown_although_their_results_lie_there(two_studies, tmp_path):
    assert '<section id="warmup" class="study">' in two_studies()
    text = two_studies("--studies", "color_threshold")
    assert '<section id="color_threshold" class="study">' in text
    assert 'id="warmup' not in text
    assert len(Page(text).images) == 3  # its own, and every comparison and the edges of all domains
    assert "· not run on any domain: Warm-up (How long?);" in text
    Path("results/sets").mkdir()
    Path("results/sets/taus.yaml").write_text("recipe: shapes\nstudies: [color_threshold]\n")
    Path("params.yaml").write_text("set: taus\n")
    of_set = two_studies("--params", "params.yaml")
    assert of_set == text


def test_a_study_outside_of_the_set_is_listed_as_not_run_although_its_files_are_there(two_studies):
    header = Path("results/warmup.csv").read_text().splitlines()[0]
    Path("results/warmup.csv").write_text(f"{header}\n")
    assert report(["--study-files", "results/studies", "--studies", "warmup"]) == 0
    text = two_studies()
    assert 'id="warmup' not in text
    assert "· not run" in text
    assert len(Page(text).images) == 3  # its own, and every comparison and the edges of all domains


def test_the_published_tables_hide_no_study_that_did_not_run(two_studies):
    text = two_studies()
    assert '<section id="published_main">' in text
    assert '<section id="main">' not in text
    assert "How far?" in text


def test_a_params_file_without_a_set_is_named(two_studies, capsys):
    Path("params.yaml").write_text("studies: none\n")
    assert main(["--params", "params.yaml"]) == 2
    assert "params.yaml: set: expected the name of a set, found None" in capsys.readouterr().err
