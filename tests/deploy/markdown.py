"""What the documents hold: code blocks with the comment before them, links, and the
anchors of headings."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.service import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@dataclass(frozen=True)
class Block:
    document: Path
    language: str
    text: str
    comment: str
    """Of an HTML comment on the line before; empty if there is none."""

    def __str__(self) -> str:
        first = self.text.strip().splitlines()[0]
        return f"{self.document.name}: {first[:40]}"


_BLOCK = re.compile(
    r"(?:^<!-- (?P<comment>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_LINK = re.compile(r"(?<!`)\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def blocks(language: str) -> list[Block]:
    """All code blocks of all documents in `language`."""
    return [block for block in all_blocks() if block.language == language]


def all_blocks() -> list[Block]:
    return [
        Block(document, match["language"], match["text"], match["comment"] or "")
        for document in DOCUMENTS
        for match in _BLOCK.finditer(document.read_text())
    ]


def links(document: Path) -> list[str]:
    """The targets of its links, code blocks left out."""
    text = _BLOCK.sub("", document.read_text())
    return [match["target"] for match in _LINK.finditer(text)]


def anchors(document: Path) -> set[str]:
    """The anchors that GitHub gives its headings."""
    text = _BLOCK.sub("", document.read_text())
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }
