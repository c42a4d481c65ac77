"""What the pages tell to do works: each is followed from top to bottom by a reader of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.follow import Reader, agent_of, is_fetched
from tests.docs.pages import LANGUAGES, ROOT, blocks, name_of, pages

HOW_TOS = (
    "first-steps",
    "configure",
    "servers",
    "memory",
    "routing",
    "receipts",
    "costs",
    "budgets",
    "cache",
    "telemetry",
    "export-traces",
    "tool-receipts",
    "troubleshoot",
)
FOLLOWED = [
    "README.md",
    *(f"docs/how-to/{name}.md" for name in HOW_TOS),
]
STARTED_WITH = {
    "docs/how-to/receipts.md": "payloads: all",
    "docs/how-to/servers.md": "slots: 4}",
    "docs/how-to/costs.md": "baseline:",
    "docs/how-to/budgets.md": 'scope: "agent:*"',
}
"""Pages that begin with a configuration: their first yaml block that holds this text."""
BY_OTHERS = {
    "docs/how-to/benchmark.md": "minutes of load; see the tests of the benchmark",
    "docs/how-to/clients.md": "followed by tests/compat, which has the agents that it starts",
    "docs/how-to/contribute.md": "makes environments and runs all the tests",
}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    one = Reader(tmp_path)
    yield one
    one.stop()


@pytest.mark.engine
@pytest.mark.parametrize("name", FOLLOWED)
def test_everything_that_a_page_tells_to_do_works(name: str, reader: Reader) -> None:
    found = list(blocks(ROOT / name))
    config = next(
        (b.text for b in found if b.language == "yaml" and STARTED_WITH.get(name, "\0") in b.text), ""
    )
    reader.start(config)
    followed = [block for block in found if not block.not_run and agent_of(block) is None]
    assert followed
    for block in followed:
        try:
            reader.follow(block)
        except AssertionError as error:
            raise AssertionError(f"{name}:{block.line}: {error}\n\n{reader.log}") from error


@pytest.mark.engine
@pytest.mark.foreign
def test_coding_agents_work_as_the_readme_says(reader: Reader) -> None:
    agents = {agent_of(block): block for block in blocks(ROOT / "README.md")}
    assert agents.keys() >= {"claude", "codex"}
    reader.start()
    for agent in ("claude", "codex"):
        if not is_fetched(agent):
            pytest.skip(f"{agent} is not fetched: make compat")
        reader.follow(agents[agent])


def test_every_block_has_a_language_that_says_how_it_is_run() -> None:
    odd = [
        f"{name_of(page)}:{block.line}: {block.language or 'no language'}"
        for page in pages()
        if name_of(page) in FOLLOWED
        for block in blocks(page)
        if block.language not in LANGUAGES
    ]
    assert odd == []


def test_no_page_with_commands_is_left_out() -> None:
    told = {
        name_of(page)
        for page in pages()
        if any(block.language in ("sh", "console", "python") for block in blocks(page))
    }
    assert told <= {*FOLLOWED, *BY_OTHERS}
