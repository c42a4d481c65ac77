"""The pages of the documentation as values: fenced blocks, tables, links. Pure, apart from reading files.

A block is run unless the comment `<!-- not run: reason -->` stands above it; how, its language says:

    sh        by bash, from top to bottom; any failing command fails
    console   each line after `$ ` is a command, what follows is its output: shapes are compared, not numbers
    python    as a program of its own
    yaml      a whole configuration file; it is also what `freehold.yaml` holds from there on
    text      never: a drawing or something to read
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = {"sh", "console", "python", "yaml", "text"}

_FENCE = re.compile(r"^```(\S*)\s*$")
_NOT_RUN = re.compile(r"^<!-- not run: (.+) -->$")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block. `not_run` is the reason why it cannot be run, empty when it can."""

    line: int
    language: str
    text: str
    not_run: str


class Link(NamedTuple):
    text: str
    target: str


def pages() -> list[Path]:
    """Every page that people read."""
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, from top to bottom."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start, language = 0, ""
    for number, line in enumerate(lines, 1):
        fence = _FENCE.match(line)
        if not fence:
            continue
        if not start:
            start, language = number, fence[1]
            continue
        above = _NOT_RUN.match(lines[start - 2]) if start > 1 else None
        yield Block(start, language, "\n".join(lines[start : number - 1]) + "\n", above[1] if above else "")
        start = 0
    assert not start, f"{name_of(page)}:{start}: the block has no end"


def prose(page: Path) -> str:
    """The page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)


def links(page: Path) -> list[Link]:
    return [Link(*found) for found in _LINK.findall(prose(page))]


def code_words(page: Path) -> list[str]:
    """What stands in backticks in the text."""
    return _CODE.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """The places inside a page that a link may name, made of its headings as GitHub does."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table(page: Path, heading: str) -> list[list[str]]:
    """The rows of the first table below `heading`, without its head; each row a list of cells."""
    _, _, below = page.read_text(encoding="utf-8").partition(f"# {heading}\n")
    found = re.search(r"^\|.*(?:\n\|.*)+", below, flags=re.M)
    assert found, f"{name_of(page)} has no table below {heading!r}"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found[0].splitlines()[2:]]
