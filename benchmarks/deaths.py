"""`python -m benchmarks.deaths`: runs all staged deaths and writes what each was found to be into RESULTS.md.

The stories are the tests of `tests/deaths`, so a cause that is wrong fails here as it does there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "RESULTS.md"
_BEGIN, _END = "<!-- deaths: begin -->", "<!-- deaths: end -->"
_PROVEN = 90


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "told.json"
        command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "tests/deaths"]
        ended = subprocess.run(
            command, env={**os.environ, "FREEHOLD_DEATHS_TABLE": str(table)}, check=False
        ).returncode
        told: list[tuple[str, str, int, str]] = json.loads(table.read_text())
    write_section(render(told, ended))
    return ended


def render(told: list[tuple[str, str, int, str]], ended: int) -> str:
    """The section: a line for each death."""
    kinds = Counter(
        "proven" if confidence >= _PROVEN else "likely" if confidence else "unknown"
        for _, _, confidence, _ in told
    )
    verdict = "No cause is wrong." if ended == 0 else "**Some are wrong: see the tests.**"
    rows = [
        (words(story), cause, f"{confidence} %" if confidence else "-")
        for story, cause, confidence, _ in told
    ]
    lines = [
        "## Deaths",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, `python -m benchmarks.deaths`. {describe()}",
        "",
        f"{len(told)} staged deaths of real processes: {kinds['proven']} proven (90 % and more), "
        f"{kinds['likely']} named without proof, {kinds['unknown']} left unknown, with next steps. {verdict}",
        "",
        "| staged | found | confidence |",
        "| ------ | ----- | ---------- |",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def words(story: str) -> str:
    """A test's name as a person says it."""
    name, _, case = story.removeprefix("test_").partition("[")
    return name.replace("_", " ") + (f" ({case.rstrip(']')})" if case else "")


def write_section(section: str) -> None:
    """Exchanges our part of RESULTS.md, or adds it."""
    text = RESULTS.read_text()
    ours = f"{_BEGIN}\n{section}{_END}"
    found = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    new = found.sub(lambda _: ours, text) if found.search(text) else f"{text.rstrip()}\n\n{ours}\n"
    RESULTS.write_text(new)


if __name__ == "__main__":
    sys.exit(main())
