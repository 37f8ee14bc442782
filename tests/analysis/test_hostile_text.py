"""Labels, questions, reasons and class names may hold anything: no format of the report obeys it."""

import csv
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from analysis.page.html import main as page
from analysis.plain_text import markdown_text, one_line
from analysis.report import main as report
from analysis.tables.latex import latex_text
from core.record import spreadsheet_text

HOSTILE = [
    "<script>alert(1)</script>",
    "![x](http://evil.example/x.png)",
    "[x](javascript:alert(1))",
    '"><img src=x onerror=alert(1)>',
    "$\\undefined{$ & \\input{/etc/passwd} % #",
    "=cmd|'/c calc'!A1",
    "a | b\n\n# c\x01\u202e `d` *e* _f_ &lt;",
]


class Elements(HTMLParser):
    """Names of elements, addresses that a browser would follow or load, attributes that would run, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names, self.addresses, self.handlers, self.text = set(), set(), set(), ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.names.add(tag)
        self.addresses |= {value for name, value in attrs if name in ("href", "src")}
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture
def reported(results: Path, write_study, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The report and page, made once, of a study whose every text is hostile: labels, question, reason, classes."""
    if not (results / "report.html").exists():
        monkeypatch.chdir(results)
        classes = dict(zip(("ellipse", "star"), HOSTILE[:2], strict=True))
        categories = {arm: dict.fromkeys((*classes.values(), *HOSTILE[2:]), 50.0) for arm in ("boxes", "full")}
        aps = {"boxes": [40.0, 41.0], "masks_for_two": [50.0, 51.0], "full": [60.0, None]}
        path = write_study(results, "class_split", aps, categories=categories | {"masks_for_two": categories["full"]})
        content = yaml.safe_load(path.read_text())
        content["labels"] = dict(zip(aps, HOSTILE[:3], strict=True))
        content |= {
            "question": " ".join(HOSTILE).replace("\x01", ""),
            "source": HOSTILE[0],
            "expectation": f"boxes < full, {HOSTILE[3]}",
        }
        path.write_text(yaml.safe_dump(content))
        text = (results / "class_split.csv").read_text()
        (results / "class_split.csv").write_text(text.replace("ran out of memory", '"=1+1 <b>no</b> | $x$"'))
        options = ["--results", str(results), "--study-files", str(results / "studies")]
        assert report(options) == 0
        assert page(options) == 0
    return results


def test_the_page_runs_and_loads_nothing(reported: Path) -> None:
    found = Elements((reported / "report.html").read_text())
    assert not found.names & {"script", "b", "iframe", "object", "input"}
    assert not found.handlers
    assert {address.partition(":")[0] for address in found.addresses if ":" in address} == {"data"}
    for text in HOSTILE:
        assert one_line(text) in " ".join(found.text.split())
    assert {f"#class_split-{place}" for place in (1, 2, 3)} <= found.addresses  # each label leads to its trials


def test_every_plot_is_drawn_and_is_whole(reported: Path) -> None:
    plots = sorted((reported / "plots").glob("class_split*.svg"))
    assert len(plots) == 4
    for path in plots:
        ElementTree.parse(path)


def test_the_markdown_table_keeps_its_columns(reported: Path) -> None:
    rows = [line for line in (reported / "tables" / "class_split.md").read_text().splitlines() if line.startswith("| ")]
    cells = {len(re.split(r"(?<!\\)\|", row)) for row in rows}
    assert (len(rows), len(cells)) == (1 + 1 + 3, 1)


def test_no_cell_of_a_table_is_a_formula(reported: Path) -> None:
    paths = [reported / "tables" / "class_split.csv", *sorted((reported / "plots" / "data").glob("*.csv"))]
    assert len(paths) == 3
    for path in paths:
        with path.open(newline="") as file:
            for cell in (cell for row in csv.reader(file) for cell in row):
                assert not re.match(r"[=@+\t\r]", cell), (path, cell)


def test_latex_gets_no_command_and_no_comment(reported: Path) -> None:
    text = (reported / "tables" / "class_split.tex").read_text()
    assert "\\input" not in text
    assert "\\undefined" not in text
    assert all(line.startswith("% \\usepackage") for line in text.splitlines() if re.search(r"(?<!\\)%", line))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1+cmd", "'+1+cmd"),
        ("-1", "-1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("-", "-"),
        ("a=1", "a=1"),
        ("", ""),
    ],
)
def test_a_text_that_a_spreadsheet_would_calculate_is_marked_as_text(text: str, cell: str) -> None:
    assert spreadsheet_text(text) == cell


def test_text_is_shown_in_markdown_as_it_is_written() -> None:
    assert markdown_text("a < b, 3 < 4 & c") == "a < b, 3 < 4 & c"
    assert markdown_text("<b> &amp; [a](b) `c` *d* \\") == "\\<b> \\&amp; \\[a](b) \\`c\\` \\*d\\* \\\\"


def test_a_row_of_latex_does_not_begin_with_the_argument_of_the_line_before() -> None:
    assert latex_text("[1cm] *") == "{[}1cm] {*}"
