"""Links lead somewhere, and paths that pages name exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import ROOT, anchors, links, name_of, pages


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    lost: list[str] = []
    for link in links(page):
        if "://" in link.target:
            continue
        file, _, anchor = link.target.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link.target)
    assert lost == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    reached = {(index.parent / link.target.partition("#")[0]).resolve() for link in links(index)}
    assert [name_of(page) for page in pages() if page not in {*reached, index, ROOT / "README.md"}] == []
