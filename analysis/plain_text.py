"""Text from study files and records as Markdown and CSV: escaped, so that readers see it as written.

The template escapes HTML, `analysis.tables.latex` LaTeX; `styled` turns off the formulas of plots.
"""

import re
from typing import Any

import pandas as pd

from core.record import spreadsheet_text

# Links, images, code, emphasis, entities and HTML; a `<` without a name after it is a plain sign, as in `a < b`.
MARKUP = re.compile(r"[\\`*\[]|<(?=[A-Za-z/!?])|&(?=#|[A-Za-z][A-Za-z0-9]*;)")


def printable(text: str) -> str:
    """Text with spaces for control characters, including those that reverse the text direction."""
    return "".join(character if character.isprintable() else " " for character in text)


def one_line(text: Any) -> str:
    """Printable text on one line, without repeated spaces."""
    return " ".join(printable(str(text)).split())


def markdown_text(text: str) -> str:
    """Escape text for Markdown, on one line; `markdown_table` escapes the `|` of tables."""
    return MARKUP.sub(lambda found: f"\\{found.group()}", one_line(text))


def without_markup(text: str) -> str:
    """Text on one line without Markdown characters, for use in Markdown sentences."""
    return MARKUP.sub("", one_line(text))


def table_csv(table: pd.DataFrame, *, index: bool = True) -> str:
    """A table as CSV with six digits, whose text no spreadsheet interprets as a formula."""
    safe = table.map(_cell).rename(index=_cell, columns=_cell)
    return safe.to_csv(index=index, float_format="%.6g", lineterminator="\n")


def _cell(value: Any) -> Any:
    return spreadsheet_text(value) if isinstance(value, str) else value
