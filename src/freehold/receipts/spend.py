"""What was paid to providers since when, for those who must know it exactly at a start: from the projection,
and from the entries at the end of the log that it does not have yet.

Sums are of receipts by the time at which their calls started. Reads files; not for the hot path.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from freehold.receipts.entries import Receipt, decode_receipt
from freehold.receipts.snapshot import entries_from, snapshot
from freehold.receipts.statements import statements

HOUR_MS = 3_600_000
_FOR_EVER_HOURS = 1 << 40
_ALL_TIME_MS = 1 << 60

Dimension = Literal["all", "provider", "model", "project", "agent", "session", "task", "key"]
_COLUMNS: dict[Dimension, str] = {
    "all": "'', ''",
    "provider": "provider, ''",
    "model": "provider, deployment",
    "project": "project, ''",
    "agent": "agent, ''",
    "session": "session, ''",
    "task": "task, ''",
    "key": "via_key, ''",
}


class Wanted(msgspec.Struct, frozen=True):
    """By which dimension, from when on (None: ever), and how finely by time (None: one sum)."""

    dimension: Dimension
    since_ms: int | None = None
    slice_ms: int | None = None


class Spent(msgspec.Struct, frozen=True):
    """A sum. `name` is the dimension's value (of a model, its provider), `deployment` only a model's; `at_ms`
    is the first call's start or the beginning of its hour, in the slice that the sum is for."""

    name: str
    deployment: str
    at_ms: int
    nanos: int


class Spending(msgspec.Struct, frozen=True):
    """Everything up to the end of the log at one moment: sums in the order of what was wanted, and the
    receipts that are in none of them."""

    sums: tuple[tuple[Spent, ...], ...]
    newer: tuple[Receipt, ...]


def read_spending(home: Path, wanted: Sequence[Wanted]) -> Spending:
    """Reads the projection and then the log behind it. Raises LedgerError when the log has a hole."""
    sums = tuple[tuple[Spent, ...], ...](() for _ in wanted)
    position, nothing = 0, sums
    try:
        with snapshot(home) as (db, position):
            if db is not None:
                sums = tuple(tuple(_spent(db, one)) for one in wanted)
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # damaged further on; the log has everything
        sums, position = nothing, 0
    return Spending(sums, tuple(_newer(home, position)))


def cost_known(home: Path, ids: Iterable[str], newer: Iterable[Receipt]) -> dict[str, bool]:
    """Of calls by their id: whether the receipt knows what the call cost. Calls without one are left out."""
    wanted = set(ids)
    known = {each.id: each.cost_state != "unknown" for each in newer if each.id in wanted}
    with snapshot(home) as (db, _):
        if db is not None and wanted - known.keys():
            asked = {"ids": msgspec.json.encode(sorted(wanted)).decode()}
            rows = db.execute(statements("spend")["cost_states"], asked)
            known |= {receipt_id: state != "unknown" for receipt_id, state in rows}
    return known


def _spent(db: sqlite3.Connection, wanted: Wanted) -> Iterator[Spent]:
    since_ms = wanted.since_ms if wanted.since_ms is not None else -_FOR_EVER_HOURS * HOUR_MS
    hour, within = divmod(since_ms, HOUR_MS)
    if wanted.slice_ms is not None and wanted.slice_ms % HOUR_MS:
        yield from _within(db, wanted, (hour, _FOR_EVER_HOURS), since_ms)
        return
    if within:
        yield from _within(db, wanted, (hour, hour + 1), since_ms)
    text = _filled("spent_in_hours", wanted.dimension)
    text = text.replace("{slice}", "1" if wanted.slice_ms is None else f"hour / {wanted.slice_ms // HOUR_MS}")
    hours = {"first_hour": hour + (within > 0), "last_hour": _FOR_EVER_HOURS}
    yield from (Spent(*row) for row in db.execute(text, hours))


def _within(db: sqlite3.Connection, wanted: Wanted, hours: tuple[int, int], since_ms: int) -> Iterator[Spent]:
    """From single calls, where whole hours are too coarse."""
    span = {"first_hour": hours[0], "last_hour": hours[1]}
    calls = db.execute(statements("spend")["calls_in_hours"], span).fetchone()[0]
    values = {
        **span,
        "calls": calls,
        "since_ms": since_ms,
        "slice_ms": wanted.slice_ms or _ALL_TIME_MS,
    }
    yield from (Spent(*row) for row in db.execute(_filled("spent_within_hours", wanted.dimension), values))


def _filled(name: str, dimension: Dimension) -> str:
    text = statements("spend")[name].replace("{columns}", _COLUMNS[dimension])
    return text.replace("{table}", "session_rollups" if dimension in ("session", "task") else "rollups")


def _newer(home: Path, position: int) -> Iterator[Receipt]:
    for _, entry in entries_from(home, position):
        try:
            receipt = decode_receipt(entry)
        except msgspec.MsgspecError:
            continue
        if receipt.kind == "call":
            yield receipt
