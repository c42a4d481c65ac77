"""For `python -m benchmarks.deaths`: what every staged death was found to be, as JSON."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tests.deaths.stage import TOLD


@pytest.fixture(autouse=True)
def patient_witness(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is seen that the machine lets us see, also when it is busy."""
    monkeypatch.setattr("freehold.adapters.host.witness.PATIENCE_S", 20.0)


def pytest_sessionfinish() -> None:
    if wanted := os.environ.get("FREEHOLD_DEATHS_TABLE"):
        Path(wanted).write_bytes(msgspec.json.encode(TOLD))
