"""The table of statistics, its file and the document that shows it."""

import math
from pathlib import Path

import pytest

from core.appearance.table import KNOWN, markdown, read_table, with_column, write_table

DOCUMENT = Path(__file__).parents[3] / "reference" / "appearance.md"


def test_columns_are_added_and_replaced():
    table = with_column({}, "photos", {"fill": 0.5, "sizes": 2.0})
    table = with_column(table, "mine", {"fill": 0.6, "sizes": 3.0})
    assert table == {"fill": {"photos": 0.5, "mine": 0.6}, "sizes": {"photos": 2.0, "mine": 3.0}}
    assert with_column(table, "photos", {"fill": 0.7, "sizes": 4.0})["fill"] == {"mine": 0.6, "photos": 0.7}


def test_a_statistic_that_others_lack_is_empty_there():
    table = with_column({"fill": {"photos": 0.5}}, "mine", {"fill": 0.6, "new": 1.0})
    assert math.isnan(table["new"]["photos"])


def test_a_table_is_read_as_written(tmp_path):
    table = {"box fill": {"photos": 0.5612, "mine": 44.1}, "size, 10 %": {"photos": 0.1, "mine": 2.0}}
    write_table(table, tmp_path / "table.csv")
    assert read_table(tmp_path / "table.csv") == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "first column is 'statistic'"),
        ("name,photos\n", "first column is 'statistic'"),
        ("statistic,photos\nfill,half\n", "line 2: found fill,half, expected a name and 1 numbers"),
        ("statistic,photos\nfill,1,2\n", "line 2: found fill,1,2, expected"),
    ],
)
def test_a_malformed_table_is_refused(tmp_path, text, message):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "table.csv")


def test_a_table_is_shown_aligned():
    lines = markdown(
        {"fill": {"photos": 0.5612, "mine": 44.1}, "gap": {"photos": math.nan, "mine": 100.0}}
    ).splitlines()
    assert lines == [
        "| statistic | photos |   mine |",
        "| --------- | -----: | -----: |",
        "| fill      |  0.561 |  44.10 |",
        "| gap       |      - | 100.00 |",
    ]


def test_the_document_shows_the_known_numbers():
    assert markdown(read_table(KNOWN)) in DOCUMENT.read_text()
