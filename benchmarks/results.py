"""RESULTS.md: each benchmark has a section of its own there, which it replaces whole."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "RESULTS.md"


def put_section(name: str, title: str, command: str, body: str) -> None:
    """Put `body` under `title`, with the date, the command and the machine; other sections stay."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    head = f"{datetime.now(UTC):%Y-%m-%d}, `{command}`. {describe()}."
    section = f"{begin}\n## {title}\n\n{head}\n\n{body}\n{end}"
    before = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if begin in before:
        RESULTS.write_text(pattern.sub(lambda _: section, before))
    else:
        RESULTS.write_text(f"{before.rstrip()}\n\n{section}\n")
