"""Text from study files and records in Markdown and CSV: it is shown as it is written, and nothing in it is obeyed.

HTML is escaped by its template, LaTeX by `analysis.tables.latex`; in plots `styled` turns formulas off.
"""

import re
from typing import Any

import pandas as pd

from core.record import spreadsheet_text

# Links, images, code, emphasis, entities and HTML; a `<` that no name follows is just a sign, as in `a < b`.
MARKUP = re.compile(r"[\\`*\[]|<(?=[A-Za-z/!?])|&(?=#|[A-Za-z][A-Za-z0-9]*;)")


def printable(text: str) -> str:
    """Text in which control characters, also those that reverse the direction of reading, are spaces."""
    return "".join(character if character.isprintable() else " " for character in text)


def one_line(text: Any) -> str:
    """Printable text on one line, without spaces that follow a space."""
    return " ".join(printable(str(text)).split())


def markdown_text(text: str) -> str:
    """Text as Markdown that shows it on one line; without the `|` of tables, which `markdown_table` escapes."""
    return MARKUP.sub(lambda found: f"\\{found.group()}", one_line(text))


def without_markup(text: str) -> str:
    """Text on one line without the characters of Markdown, for sentences that are put together as Markdown."""
    return MARKUP.sub("", one_line(text))


def table_csv(table: pd.DataFrame, *, index: bool = True) -> str:
    """A table as CSV with six digits, of which no spreadsheet takes a text for a formula."""
    safe = table.map(_cell).rename(index=_cell, columns=_cell)
    return safe.to_csv(index=index, float_format="%.6g", lineterminator="\n")


def _cell(value: Any) -> Any:
    return spreadsheet_text(value) if isinstance(value, str) else value
