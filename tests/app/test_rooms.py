"""Rooms that a house does without cost it nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from freehold.app.rooms import OptionalRooms
from freehold.core.config import Config
from tests.cli.ledgers import FixedClock

_ONLY_WHERE_CONFIGURED = (
    "freehold.app.budgets",
    "freehold.app.cache",
    "freehold.app.energy",
    "freehold.app.telemetry",
    "freehold.app.control",
    "freehold.web",
    "freehold.adapters.telemetry",
    "freehold.adapters.power",
    "freehold.routing.learn.estimator",
    "fastapi",
)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def test_what_is_not_configured_is_not_imported() -> None:
    program = f"""
import sys
import freehold.app.serve
print([name for name in {_ONLY_WHERE_CONFIGURED!r} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


async def test_a_house_without_any_makes_no_files(tmp_path: Path) -> None:
    rooms = OptionalRooms(Config(), tmp_path, tmp_path, FixedClock(), lambda stage, text: None)
    async with rooms:
        assert (rooms.budgets, rooms.cache, rooms.energy, rooms.telemetry) == (None, None, None, None)
    assert files(tmp_path) == []
