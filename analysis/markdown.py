"""The Markdown of our own tables as HTML, so that page and file show the same."""

from collections.abc import Mapping
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markupsafe import Markup


def to_html(text: str, *, name: str, links: Mapping[str, str]) -> Markup:
    """Render a section's Markdown without its title; what looks like HTML in it is escaped.

    Headings go down one level, to stand under the section's own. Each table scrolls sideways in a region called
    `name`. `links` leads from the first cell of a row, by its text, to where its numbers come from.
    """
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    tokens = parser.parse(text, {"name": name})
    if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        tokens = tokens[3:]  # opening, text, closing
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
    page = parser.renderer.render(tokens, parser.options, {"name": name})
    for label, target in links.items():
        cell = f"<td>{escape(label)}</td>"
        page = page.replace(cell, f'<th scope="row"><a href="{escape(target)}">{escape(label)}</a></th>', 1)
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
