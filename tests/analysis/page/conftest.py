"""The page of made-up results."""

import numpy as np
import pytest
from matplotlib.image import imsave

from analysis.page.html import main
from analysis.report import main as report

APS = {"box_mask": [10.0, 10.5], "projection": [30.0, 31.0], "both": [50.0, 51.0], "full": [60.0, None]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("page")


@pytest.fixture
def text(folder, monkeypatch, write_traced) -> str:
    """The page of one study that ran, with a hole, one that did not, and a measurement."""
    monkeypatch.chdir(folder)
    results = folder / "results"
    if not results.exists():
        (folder / "studies").mkdir()
        question = "question: Which <i>term</i>?\nsource: loss ablation\nreference_arm: full\n"
        arms = "arms: {box_mask: {}, projection: {}, both: {}, full: {}}\nlabels: {projection: projection only}\n"
        (folder / "studies/loss_terms.yaml").write_text(
            f"{question}expectation: box_mask < projection < both < full\n{arms}"
        )
        (folder / "studies/warmup.yaml").write_text("question: How long?\nsource: none\nexpectation: none\n")
        write_traced(results, APS)
        for column in ("both-seed0", "full-seed0"):
            (results / "loss_terms/pictures" / column).mkdir(parents=True)
            imsave(results / "loss_terms/pictures" / column / "1.png", np.zeros((8, 8, 3)))
        report(["--study-files", "studies"])
        (results / "tables/edge_purity.md").write_text(
            "# Edge purity\n\n| τ | kept |\n| --- | --: |\n| 0.1 | 95.00 |\n"
        )
        for name in ("edge_purity", "consistency"):
            (results / "plots" / f"{name}.svg").write_bytes((results / "plots/loss_terms.svg").read_bytes())
    assert main(["--study-files", "studies"]) == 0
    return (results / "report.html").read_text()
