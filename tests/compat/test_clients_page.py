"""docs/how-to/clients.md: every block on the page does what the page says, with the port put in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from freehold.testing.tiny_model import scripts
from tests.compat import programs

PAGE = programs.ROOT / "docs" / "how-to" / "clients.md"
AGENTS = {"Claude Code": "claude", "Codex": "codex", "opencode": "opencode"}
"""Sections that need a program to be fetched, and its command."""
UNTRIED = ("json5",)
FILES = {"Codex": "home/.codex/config.toml", "opencode": "work/opencode.json"}
"""Where a section's settings file belongs."""
RECITED = scripts.texts()[scripts.DEFAULT]
LAST_WORDS = scripts.texts()[scripts.AFTER_TOOL]


class Block(msgspec.Struct, frozen=True):
    """A fenced block: the section it stands in, its language, its text."""

    section: str
    language: str
    text: str


def blocks() -> list[Block]:
    found: list[Block] = []
    for part in PAGE.read_text().split("\n## ")[1:]:
        section = part.partition("\n")[0]
        fenced = re.findall(r"^```(\w+)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        found += [Block(section, language, text) for language, text in fenced if language not in UNTRIED]
    return found


class Reader:
    """Somebody who follows the page, in an empty home."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        for name in ("work", "home"):
            (folder / name).mkdir()

    def follow(self, block: Block) -> str:
        """Write the settings, or run the commands and say what they printed."""
        text = block.text.replace("http://127.0.0.1:8400", self._url)
        if block.language in ("toml", "json"):
            path = self._folder / FILES[block.section]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            return ""
        command = ["bash", "-euc", text] if block.language == "bash" else [sys.executable, "-c", text]
        path = f"{programs.NPM / 'node_modules' / '.bin'}:{os.environ['PATH']}"
        done = subprocess.run(
            command,
            cwd=self._folder / "work",
            env={"PATH": path, "HOME": str(self._folder / "home"), "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def reader(tiny, tmp_path):
    return Reader(tmp_path, tiny.url)


LIBRARIES = [block for block in blocks() if block.section not in AGENTS]


@pytest.mark.engine
@pytest.mark.xdist_group("tiny")
@pytest.mark.parametrize("block", LIBRARIES, ids=[block.section for block in LIBRARIES])
def test_a_block_gets_the_models_answer(tiny, reader, block):
    if block.text.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("curl is not installed here")
    said = reader.follow(block)
    if "models.list" in block.text:
        assert said.count("freehold-tiny") == 2
        return
    last_word = RECITED.split()[-1].rstrip(".")
    assert last_word in said
    receipts = tiny.new_receipts()
    assert receipts
    assert {receipt.outcome for receipt in receipts} == {"ok"}
    assert {receipt.project for receipt in receipts} == (
        {"demo"} if "x-freehold-project" in block.text else {""}
    )


@pytest.mark.foreign
@pytest.mark.engine
@pytest.mark.xdist_group("tiny")
@pytest.mark.parametrize("section", AGENTS)
def test_an_agent_calls_its_tool_and_ends(tiny, reader, section):
    if programs.program(AGENTS[section]) is None:
        pytest.skip(f"{section} is not fetched: make compat")
    said = "".join(reader.follow(block) for block in blocks() if block.section == section)
    assert LAST_WORDS in said
    receipts = tiny.new_receipts()
    assert len(receipts) >= 2
    assert {receipt.outcome for receipt in receipts} == {"ok"}


def test_every_block_is_tried_or_named_as_untried():
    languages = re.findall(r"^```(\w+)$", PAGE.read_text(), re.MULTILINE)
    assert len(languages) == len(blocks()) + sum(language in UNTRIED for language in languages)
