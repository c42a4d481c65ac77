"""For `python -m benchmarks.deaths`: what every staged death was found to be, as JSON."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from tests.deaths.stage import TOLD


def pytest_sessionfinish() -> None:
    if wanted := os.environ.get("FREEHOLD_DEATHS_TABLE"):
        Path(wanted).write_bytes(msgspec.json.encode(TOLD))
