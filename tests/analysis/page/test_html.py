"""The page of a study: pictures, links, headings, table, and the origin of every number."""

from itertools import pairwise
from pathlib import Path

from analysis.page.html import main
from analysis.report import main as report
from tests.analysis.page.page_parser import Page


def test_every_picture_is_embedded_and_described_and_nothing_is_fetched(text):
    page = Page(text)
    assert page.loads == []
    assert len(page.images) == 9
    assert all(image["src"].startswith("data:image/") and image["alt"] for image in page.images)
    pointing = [image["alt"].split(":")[0] for image in page.images if "in the table above" in image["alt"]]
    assert pointing == ["Main result", "Mask AP by object size", "Main result"]  # curves and photos have no table
    assert "url(" not in text
    assert "@import" not in text


def test_links_lead_somewhere(text, folder):
    page = Page(text)
    assert len(set(page.ids)) == len(page.ids)
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert inside
    assert set(inside) <= set(page.ids)
    records = [link for link in page.links if link.endswith(".json")]
    assert len(records) == 8
    assert all((folder / "results" / link).exists() for link in records)


def test_headings_step_down_by_one(text):
    levels = Page(text).headings
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_the_table_of_the_markdown_file_stands_there_with_links_to_the_trials(text):
    assert '<th scope="row"><a href="#loss_terms-2">projection only</a></th>' in text
    assert "<td>30.5 ± 0.7</td>" in text.replace(' style="text-align:right"', "")
    assert '<tbody id="loss_terms-2">' in text


def test_every_number_has_its_origin(text, folder):
    keys = [path.stem for path in (folder / "results/loss_terms/trials").glob("*.json")]
    assert len(keys) == 8
    assert all(f"<code>{key}</code>" in text for key in keys)
    for origin in ("0123456789abcdef0123456789abcdef", "5f3242c47d6249b6", "b1f63da881e76a34", "b9135fae1b+"):
        assert text.count(f"<code>{origin}</code>") == 8
    assert "torch 2.11.0" in text
    assert "<pre>loss.projection: 1.0\n</pre>" in text  # what differs between the arms, before all settings
    assert "pairwise: 1.0" in text


def test_a_hole_is_shown_with_its_reason_and_text_is_escaped(text):
    assert "none: MemoryError: &lt;no&gt; memory" in text
    assert "Which &lt;i&gt;term&lt;/i&gt;?" in text
    assert "<no>" not in text
    assert "<i>" not in text


def test_equal_results_give_an_equal_page(text, folder):
    assert main(["--study-files", "studies", "--out", "again.html"]) == 0
    assert (folder / "again.html").read_text() == text


def test_a_study_without_a_question_keeps_its_table_apart_from_the_text(tmp_path, monkeypatch, write_traced):
    monkeypatch.chdir(tmp_path)
    write_traced(Path("results"), {"both": [50.0], "full": [60.0]})
    report(["--study-files", "studies"])  # there is no study file
    assert main(["--study-files", "studies"]) == 0
    page = Path("results/report.html").read_text()
    assert "<p>AP in percent" in page  # not the end of the list or the table before it


def test_nothing_to_show_and_a_study_without_its_table_are_errors(tmp_path, monkeypatch, write_traced, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["--study-files", "studies"]) == 2
    assert "results: no <study>.csv and no tables/*.md" in capsys.readouterr().err
    write_traced(Path("results"), {"both": [50.0]})
    assert main(["--study-files", "studies"]) == 2
    assert (
        "results/tables/loss_terms.md: no such file; `python -m analysis.report` writes it" in capsys.readouterr().err
    )
