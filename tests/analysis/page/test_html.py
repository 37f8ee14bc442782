import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imsave

from analysis.page.html import main, to_html
from analysis.published_tables import main as published_tables
from analysis.report import main as report

APS = {"box_mask": [10.0, 10.5], "projection": [30.0, 31.0], "both": [50.0, 51.0], "full": [60.0, None]}
MARKDOWN = """# Loss terms

What <b>adds</b> `most`?

## Detail

| arm | AP |
| --- | --: |
| both | 52.1 |
| full & more | 58.3 |

- a source
"""


class Page(HTMLParser):
    """What a test asks of the page: ids, links, headings, images, text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.headings, self.images, self.loads, self.texts = [], [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if tag == "a" else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.images += [attributes] if tag == "img" else []
        self.loads += [tag] if tag in ("script", "link", "iframe", "object") else []

    def handle_data(self, data):
        self.texts.append(data)


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


def test_every_picture_is_embedded_and_described_and_nothing_is_fetched(text):
    page = Page(text)
    assert page.loads == []
    assert len(page.images) == 7
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


def test_the_top_has_bars_a_cell_for_each_study_and_a_reason_in_each_cell(text):
    summary = text[text.index('<section id="summary"') : text.index('<section id="loss_terms"')]
    cells = re.findall(r'<td class="[a-z]+"><span class="word">. ([a-z ]+)</span>(: [^<]+)?</td>', summary)
    assert [outcome for outcome, _ in cells] == ["too few seeds to tell", "not run", "open", "too few seeds to tell"]
    assert all(reason for _, reason in cells[:3])  # the last is the domain of a finding, whose reason stands above
    assert "1 of 8 trials have no result." in summary
    assert "results/warmup.csv does not exist or has no trials" in summary
    assert "How long?" in summary
    # 20 and 20.5; 20 and 20, where these made-up settings do not say which term is new
    assert "The projection term over box mask matters most: it adds +20.2 AP (told apart) on shapes, this" in summary
    assert "Both over projection only adds +20.0 AP (told apart) on shapes, this run." in summary
    assert "NOT COCO numbers" in summary
    assert Page(summary).images[0]["alt"].startswith("Bars of mask AP")


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
    assert "holds on shapes, no other domain ran it" in top  # this run is no other domain
    table = Path("results/tables/loss_terms.md").read_text()
    for place in (text[len(top) :], table):
        assert place.count("one seed; judged by the spread of three seeds in the reference") == 1
    shutil.rmtree("reference")
    assert main(["--study-files", "studies"]) == 0
    assert "? too few seeds to tell" in Path("results/report.html").read_text()


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
    assert '<section id="warmup">' in two_studies()
    text = two_studies("--studies", "color_threshold")
    assert '<section id="color_threshold">' in text
    assert 'id="warmup' not in text
    assert len(Page(text).images) == 1
    assert "Warmup" in Page(text).texts
    assert "· not run" in text
    Path("results/sets").mkdir()
    Path("results/sets/taus.yaml").write_text("recipe: shapes\nstudies: [color_threshold]\n")
    Path("params.yaml").write_text("set: taus\n")
    assert two_studies("--params", "params.yaml") == text


def test_a_study_outside_of_the_set_is_listed_as_not_run_although_its_files_are_there(two_studies):
    header = Path("results/warmup.csv").read_text().splitlines()[0]
    Path("results/warmup.csv").write_text(f"{header}\n")
    assert report(["--study-files", "results/studies", "--studies", "warmup"]) == 0
    text = two_studies()
    assert 'id="warmup' not in text
    assert "· not run" in text
    assert len(Page(text).images) == 1


def test_the_published_tables_hide_no_study_that_did_not_run(two_studies):
    text = two_studies()
    assert '<section id="published_main">' in text
    assert '<section id="main">' not in text
    assert "How far?" in text


def test_a_params_file_without_a_set_is_named(two_studies, capsys):
    Path("params.yaml").write_text("studies: none\n")
    assert main(["--params", "params.yaml"]) == 2
    assert "params.yaml: set: expected the name of a set, found None" in capsys.readouterr().err


def test_the_title_is_left_out_and_other_headings_go_down_one_level():
    page = to_html(MARKDOWN, name="Loss terms", links={})
    assert "<h1>" not in page
    assert "Loss terms</h" not in page
    assert "<h3>Detail</h3>" in page


def test_markup_in_the_text_is_escaped():
    assert "What &lt;b&gt;adds&lt;/b&gt; <code>most</code>?" in to_html(MARKDOWN, name="x", links={})


def test_a_table_scrolls_in_a_named_region_of_its_own():
    page = to_html(MARKDOWN, name='a "name"', links={})
    assert '<div class="scroll" role="region" tabindex="0" aria-label="Table: a &quot;name&quot;"><table>' in page
    assert page.count("</table></div>") == 1
    assert '<th scope="col">arm</th>' in page


def test_the_first_cell_of_a_row_leads_to_where_its_numbers_come_from():
    page = to_html(MARKDOWN, name="x", links={"both": "#study-1", "full & more": "#study-2", "absent": "#study-3"})
    assert '<th scope="row"><a href="#study-1">both</a></th>' in page
    assert '<th scope="row"><a href="#study-2">full &amp; more</a></th>' in page
    assert "study-3" not in page


def test_no_text_gives_no_page():
    assert to_html("", name="x", links={}) == ""
