"""Receipts, clocks and whole small ledgers for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from freehold.core.usage import Usage
from freehold.receipts.entries import Attempt, Receipt
from freehold.receipts.ledger import Ledger
from freehold.receipts.publisher import Pace

HOUR_MS = 3_600_000
START_MS = 1_790_000_000_000
SMALL = Pace(segment_entries=256, poll_s=0.001, checkpoint_s=0.0, seal_after_s=0.0, batch_entries=300)
"""Short segments and steps, so that a few hundred receipts see every kind of border."""


class FakeClock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.ms = START_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1_000


def make_receipt(number: int, **changes: Any) -> Receipt:
    """A plausible receipt; the same number gives the same receipt."""
    fields: dict[str, Any] = {
        "id": f"rc_{number:06d}",
        "agent": f"agent{number % 3}",
        "attempts": (Attempt(deployment="local/tiny", status=200, total_us=900),),
        "cost_nanos": number * 7 + 1,
        "cost_state": ("computed", "estimated", "billed", "free")[number % 4],
        "deployment": "local/tiny",
        "model": "tiny",
        "model_asked": "auto",
        "outcome": ("ok", "ok", "error", "refused", "cancelled", "truncated")[number % 6],
        "project": f"project{number % 2}",
        "provider": "local",
        "session": f"session{number // 5}",
        "started_ms": START_MS + number * 60_000,
        "status": 200,
        "total_us": 1_000 + number,
        "usage": Usage(fresh_in=number, cache_read=3, visible_out=number * 2, reasoning=1),
        "usage_raw": '{"prompt_tokens": 3}',
        "usage_state": "reported",
    }
    return Receipt(**(fields | changes))


def write_ledger(home: Path, receipts: Iterable[Receipt], pace: Pace = SMALL) -> Path:
    """Append receipts to the ledger of `home` and publish them; returns the ledger's folder."""
    with Ledger.open(home, clock=FakeClock(), pace=pace) as ledger:
        for receipt in receipts:
            ledger.append(receipt)
    health = ledger.health()
    assert health.error == "" and health.checkpointed == health.projected == health.entries
    return home / "ledger"


def write_numbers(home: Path, count: int, start: int = 0) -> Path:
    """`write_ledger` with receipts `start` up to `start + count`."""
    return write_ledger(home, (make_receipt(number) for number in range(start, start + count)))


def rows_of(path: Path, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table of the projection, in order of its key."""
    import sqlite3

    with closing(sqlite3.connect(path)) as db:
        return db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10").fetchall()
