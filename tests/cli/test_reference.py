"""The reference pages say what the program does: they are made from it, and must be current."""

from __future__ import annotations

from pathlib import Path

from freehold.cli.reference import pages

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


def test_the_pages_are_current() -> None:
    stale = [name for name, text in pages().items() if (FOLDER / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run: python -m freehold.cli.reference"


def test_every_command_and_every_key_has_its_place() -> None:
    made = pages()
    assert "### freehold receipts verify" in made["cli.md"]
    assert "| `timeout_s` | number, above 0 | `600` |" in made["config.md"]
    assert "| 4 | not running |" in made["exit-codes.md"]
