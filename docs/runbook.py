"""The runbook of docs/operations.md as a template for the admin, because an image has
no guides: `python -m docs.runbook` writes it, and a test compares."""

import re
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

FILE = Path(__file__).with_name("operations.md")
TEMPLATE = (
    FILE.parent.parent
    / "realtime"
    / "templates"
    / "admin"
    / "realtime"
    / "fleet"
    / "runbook_text.html"
)
BEGIN = "## Runbook\n"
_HEADER = "{# Made of docs/operations.md by `python -m docs.runbook`. #}\n"


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def template() -> str:
    """The runbook in HTML, each heading with its anchor. A link to another guide
    or section becomes its text: nobody can follow it from there."""
    _, _, text = FILE.read_text().partition(BEGIN)
    markdown = MarkdownIt("commonmark", {"html": False})
    tokens = markdown.parse(text)
    anchors = set()
    for token, following in pairwise(tokens):
        if token.type in ("heading_open", "heading_close"):
            token.tag = "h2"  # below the title of the page
        if token.type == "heading_open":
            anchors.add(anchor(following.content))
            token.attrSet("id", anchor(following.content))
    for token in tokens:
        if token.children:
            token.children = _linked(token.children, anchors)
    html = markdown.renderer.render(tokens, markdown.options, {})
    return f"{_HEADER}{{% verbatim %}}\n{html}{{% endverbatim %}}\n"


def _linked(tokens: list[Token], anchors: set[str]) -> list[Token]:
    """Without links that lead elsewhere."""
    kept, elsewhere = [], False
    for token in tokens:
        if token.type == "link_open":
            elsewhere = str(token.attrGet("href"))[1:] not in anchors
        if not (elsewhere and token.type in ("link_open", "link_close")):
            kept.append(token)
    return kept


if __name__ == "__main__":
    TEMPLATE.write_text(template())
