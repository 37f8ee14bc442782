"""The top of the page: bars, a cell for each study and a reason in each cell."""

import re
import shutil
from pathlib import Path

from analysis.page.html import main
from analysis.report import main as report
from tests.analysis.page.page_parser import Page


def test_the_top_has_bars_a_cell_for_each_study_and_a_reason_in_each_cell(text):
    summary = text[text.index('<section id="summary"') : text.index('<section id="loss_terms"')]
    cells = re.findall(r'<td class="[a-z]+"><span class="word">. ([a-z ]+)</span>(: [^<]+)?</td>', summary)
    assert [outcome for outcome, _ in cells] == ["not told apart", "open", "not told apart"]
    assert all(reason for _, reason in cells[:2])  # the last is the domain of a finding, whose reason stands above
    assert "1 of 8 trials have no result." in summary
    assert "· not run on any domain: Warm-up (How long?)." in summary
    # 20 and 20.5; 20 and 20, where these made-up settings do not say which term is new
    assert "The largest step is the projection term over box mask on shapes, this run (+20.2 AP)." in summary
    assert '<th scope="col">both over projection only</th>' in summary
    assert "<td>+20.0 AP (+20.0 to +20.0, given these images)</td>" in summary
    assert "NOT COCO numbers" in summary
    images = [image["alt"] for image in Page(summary).images]
    assert images[0].startswith("Bars of mask AP")
    assert images[1].startswith("Differences in AP")


def test_one_seed_is_judged_by_the_reference_in_table_and_summary_alike(
    tmp_path, monkeypatch, write_results, write_records, study
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("analysis.report.draw_study", lambda *arguments: [])
    one = {"box_mask": [12.0], "projection": [30.0], "both": [50.0], "full": [60.0]}
    write_results(tmp_path / "results", one)
    write_results(tmp_path / "reference/shapes", {arm: [ap, ap + 1, ap + 2] for arm, (ap,) in one.items()})
    for folder in ("results", "reference/shapes"):
        write_records(tmp_path / folder)
    assert report(["--study-files", "studies"]) == 0
    assert main(["--study-files", "studies"]) == 0
    text = Path("results/report.html").read_text()
    top = text[: text.index('<section id="loss_terms"')]
    assert '<th scope="col">shapes, this run</th><th scope="col">shapes</th>' in top
    assert top.count("✔ holds") == 4  # the study and its finding, here and in the reference
    assert "no domain that counts ran it" in top  # the recipe shapes was made to show this order
    table = Path("results/tables/loss_terms.md").read_text()
    for place in (text[len(top) :], table):
        assert place.count("one seed; judged by the spread of three seeds in the reference") == 1
    shutil.rmtree("reference")
    assert main(["--study-files", "studies"]) == 0
    assert "? not told apart" in Path("results/report.html").read_text()
