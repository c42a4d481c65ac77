"""`python -m tests.compat`: fetch programs that we did not write, and run them through Freehold.

These options are ours, all others pytest's:
    --openai-python FOLDER   a clone of openai-python; needed once, its tests are unpacked from it
    --latest                 today's npm packages instead of the versions that were tried
    --offline                fetch nothing
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.compat import otel, programs
from tests.compat.programs import FetchError


def main() -> int:
    """Exit status: pytest's; 1 also when something could not be fetched."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat", allow_abbrev=False)
    parser.add_argument("--openai-python", type=Path, help="a clone of its repository (needed once)")
    parser.add_argument("--latest", action="store_true", help="today's npm packages")
    parser.add_argument("--offline", action="store_true", help="fetch nothing, run what is there")
    asked, for_pytest = parser.parse_known_args()
    missing: list[str] = []
    if not asked.offline:
        _try(missing, lambda: programs.fetch_npm(latest=asked.latest))
        _try(missing, lambda: programs.fetch_suite(asked.openai_python))
        _try(missing, otel.fetch)
    print("Against:", ", ".join(programs.versions()), flush=True)
    command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-rs", "-v", *for_pytest]
    status = subprocess.run(command, cwd=programs.ROOT, check=False).returncode
    for sentence in missing:
        print("Not fetched:", sentence, file=sys.stderr)
    return status or bool(missing)


def _try(missing: list[str], fetch: Callable[[], None]) -> None:
    try:
        fetch()
    except FetchError as error:
        missing.append(str(error))


if __name__ == "__main__":
    raise SystemExit(main())
