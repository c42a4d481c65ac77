"""Tables in the pages say what the program says: vendors, ports, codes, headers, outcomes, tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from freehold import __version__
from freehold.adapters.providers.known import LOCAL_SERVERS, VENDORS
from freehold.cli.commands import COMMANDS
from freehold.receipts.entries import CostState, Outcome
from tests.docs.pages import ROOT, Link, links, table
from tests.house import House

README = ROOT / "README.md"
HOW_TO = ROOT / "docs" / "how-to"
SOURCES = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py"))]


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def first_column(page: Path, heading: str) -> list[str]:
    return [name for row in table(page, heading) for name in codes(row[0])]


# -- first steps


def test_the_servers_that_are_looked_for() -> None:
    rows = table(HOW_TO / "first-steps.md", "A model server that runs already")
    told = [(row[0], int(port), row[2].strip("`")) for row in rows for port in row[1].split(",")]
    assert sorted(told) == sorted((one.program, one.port, one.name) for one in LOCAL_SERVERS)


def test_the_variables_that_open_a_provider() -> None:
    rows = table(HOW_TO / "first-steps.md", "A provider")
    assert [(row[0].strip("`"), tuple(codes(row[1]))) for row in rows] == [(v.name, v.keys) for v in VENDORS]


# -- receipts


def test_outcomes_and_costs() -> None:
    page = HOW_TO / "receipts.md"
    assert first_column(page, "List, show, sum up") == list(get_args(Outcome))
    _, _, below = page.read_text().partition("| Cost |")
    assert sorted(re.findall(r"^\| `(\w+)` \|", below, flags=re.M)) == sorted(get_args(CostState))


# -- trouble


def test_the_table_of_codes_is_complete() -> None:
    said = {code for text in SOURCES for code in re.findall(r'CallError\([^()]*\bcode="([a-z_]+)"', text)}
    assert set(first_column(HOW_TO / "troubleshoot.md", "A call fails")) == said


def test_the_table_of_headers_is_complete() -> None:
    said = {name for text in SOURCES for name in re.findall(r"x-freehold-[a-z]+(?:-[a-z]+)*", text)}
    assert set(first_column(HOW_TO / "troubleshoot.md", "Headers")) == said


def test_what_it_is_said_to_say_it_says() -> None:
    everything = re.sub(r'"\s*\n\s*f?"', "", "\n".join(SOURCES))
    for words in first_column(HOW_TO / "troubleshoot.md", "It does not start"):
        assert words in everything, words


# -- what works, and what does not yet


def claims() -> list[tuple[str, Link]]:
    rows = table(README, "What works today")
    shown = {row[0]: re.findall(r"\[([^\]]+)\]\(([^)]+)\)", row[1]) for row in rows}
    assert all(shown.values()), "each claim names a test"
    return [(claim, Link(*found)) for claim, each in shown.items() for found in each]


@pytest.mark.parametrize(("claim", "test"), claims(), ids=[test.text for _, test in claims()])
def test_the_test_that_shows_a_claim_exists(claim: str, test: Link) -> None:
    name = f"def test_{test.text.replace(' ', '_')}("
    assert name in (ROOT / test.target).read_text(encoding="utf-8"), f"{claim}: {test.target} has no {name}"


def missing_names() -> list[str]:
    _, _, below = README.read_text().partition("Not there yet.")
    return [name for row in re.findall(r"^\|.*\| (`.*`) \|$", below, flags=re.M) for name in codes(row)]


def test_what_is_not_there_yet_is_indeed_not_there(tmp_path: Path) -> None:
    names = missing_names()
    assert len(names) >= 4
    rooms = [name for name in names if name.endswith("/")]
    paths = [name for name in names if name.startswith("/")]
    commands = [name.split()[1] for name in names if name.startswith("freehold ")]
    models = [name.split()[1] for name in names if name.startswith("model: ")]
    assert len(rooms) + len(paths) + len(commands) + len(models) == len(names)
    assert [room for room in rooms if (ROOT / "src" / "freehold" / room).exists()] == []
    assert [command for command in commands if command in COMMANDS] == []
    house = House(tmp_path, {"providers": {"nobody": {"base_url": "http://127.0.0.1:9/v1", "models": ["m"]}}})
    try:
        with house.wire() as wire:
            assert {path: wire.call(path).status for path in paths} == dict.fromkeys(paths, 404)
        for model in models:
            with house.wire() as wire:
                body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
                assert wire.call("/v1/chat/completions", body).status == 404
    finally:
        house.stop()


def test_every_page_of_the_readme_is_a_page() -> None:
    assert all(
        (ROOT / link.target.partition("#")[0]).exists() for link in links(README) if "://" not in link.target
    )


def test_the_newest_changes_are_those_of_this_version() -> None:
    found = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert found and found[1] == __version__
