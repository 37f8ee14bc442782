"""The Markdown that the report writes as HTML: escaped, tables that scroll, rows that link to their origin."""

import re
from collections.abc import Mapping
from html import escape
from itertools import groupby

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markupsafe import Markup

LINKS = ["link", "image", "autolink"]  # in what the report writes there is none
SEPARATOR = re.compile(r"(?<!\\)\|")  # of two cells
NOTHING = "-"
SAME_AS = {"its n": "n"}  # columns that are left out where they say what another says


def to_html(text: str, *, name: str, links: Mapping[str, str]) -> Markup:
    """Render the Markdown of a section without its title; HTML in it is escaped.

    Headings are one level lower, below the section's own. Each table scrolls horizontally in a region called `name`.
    `links` maps the text of the first cell of a row to the origin of its numbers.
    """
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table").disable(LINKS)
    tokens = parser.parse(text, {"name": name})
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens = tokens[3:]  # opening, text, closing
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    page = parser.renderer.render(tokens, parser.options, {"name": name})
    for label, target in links.items():
        shown = escapeHtml(label)
        page = page.replace(f"<td>{shown}</td>", f'<th scope="row"><a href="{escape(target)}">{shown}</a></th>', 1)
    return Markup(page)


class _Renderer(RendererHTML):
    def table_open(self, tokens, index, options, env) -> str:
        name = escape(f"Table: {env['name']}")
        return f'<div class="scroll" role="region" tabindex="0" aria-label="{name}"><table>\n'

    def table_close(self, tokens, index, options, env) -> str:
        return "</table></div>\n"

    def th_open(self, tokens, index, options, env) -> str:
        tokens[index].attrSet("scope", "col")
        return self.renderToken(tokens, index, options, env)


def without_empty_columns(text: str) -> str:
    """A Markdown text whose tables lack the columns in which no row has a number, so that they fit a screen."""
    lines: list[str] = []
    for is_table, block in groupby(text.splitlines(), key=lambda line: line.startswith("|")):
        together = [*block]
        lines += _narrowed(together) if is_table else together
    return "\n".join(lines)


def _narrowed(table: list[str]) -> list[str]:
    rows = [[cell.strip() for cell in SEPARATOR.split(line)[1:-1]] for line in table]
    header, _, *body = rows
    columns = dict(zip(header, zip(*body, strict=True), strict=False))
    kept = [place for place, name in enumerate(header) if place == 0 or _says_something(name, columns)]
    return [f"| {' | '.join(row[place] for place in kept)} |" for row in rows]


def _says_something(name: str, columns: Mapping[str, tuple[str, ...]]) -> bool:
    cells, others = columns.get(name, ()), columns.get(SAME_AS.get(name, ""), ())
    repeats = bool(others) and all(cell in (NOTHING, other) for cell, other in zip(cells, others, strict=True))
    return any(cell != NOTHING for cell in cells) and not repeats
