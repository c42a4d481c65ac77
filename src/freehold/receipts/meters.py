"""Counters and speeds from the projection, brought up to date when somebody asks: no call pays for them.

Figures begin at zero with each `MeterReader`. Money is integer nano-USD, durations microseconds.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from freehold.receipts.statements import statements

TOKEN_BUCKETS = (
    "fresh_in",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_in",
    "image_in",
    "visible_out",
    "reasoning",
    "audio_out",
    "image_out",
)
PACE_WINDOW_MS = 60_000
_FIRST_BYTES = 256
MOST = 500
"""Deployments with counters of their own. Telemetry and clients name models as they like."""
OTHERS = "(others)"
_LOOKBACK = 200_000
"""Entries looked at for what happened lately: more than a minute of calls."""


@dataclass
class Timing:
    """A histogram: counts at or below each bound, cumulated, and the count and sum of all."""

    below: list[int]
    count: int = 0
    sum_us: int = 0


@dataclass
class Meter:
    """Counters of one deployment."""

    first_byte: Timing
    total: Timing
    calls: Counter[str] = field(default_factory=Counter[str])
    """By outcome."""
    tokens: Counter[str] = field(default_factory=Counter[str])
    cost_nanos: Counter[str] = field(default_factory=Counter[str])
    """By cost state."""


@dataclass(frozen=True)
class Pace:
    """How one server answered in the last minute."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    first_bytes_us: tuple[int, ...] = ()
    """Of the newest calls, sorted."""


class MeterReader:
    """Counts entries after `start`. Use from one thread at a time."""

    def __init__(self, start: int, bounds_us: Sequence[int]) -> None:
        self._seen = start
        self._bounds_us = tuple(bounds_us)
        self.meters: dict[str, Meter] = {}
        """By deployment; "" for calls that were refused before one was chosen, `OTHERS` for the many."""
        self.kept_calls: Counter[str] = Counter()
        """Calls that no model was asked for, by how they were answered: `exact`, `semantic`, ..."""
        self.kept_nanos: Counter[str] = Counter()
        """What these saved."""

    def catch_up(self, db: sqlite3.Connection) -> None:
        """Count what was projected since the last time."""
        sql = statements("meters")
        newest: int = db.execute(sql["newest"]).fetchone()[0]
        span = {"after": self._seen, "upto": newest}
        text = sql["added"].replace("{first_byte}", self._sums("first_byte_us > 0 AND first_byte_us"))
        for row in db.execute(text.replace("{total}", self._sums("total_us")), span):
            meter = self._meter(row[0])
            meter.calls[row[1]] += row[3]
            meter.cost_nanos[row[2]] += row[4]
            _count(meter, row[8:18])
            bounds = len(self._bounds_us)
            _add(meter.first_byte, row[7], row[6], row[18 : 18 + bounds])
            _add(meter.total, row[3], row[5], row[18 + bounds :])
        for answered, made, state, nanos, *counts in db.execute(sql["added_attempts"], span):
            for name, sign in ((answered, -1), (made, 1)):
                meter = self._meter(name)
                meter.cost_nanos[state] += sign * nanos
                _count(meter, [sign * count for count in counts])
        for kind, calls, saved_nanos in db.execute(sql["kept"], span):
            self.kept_calls[kind] += calls
            self.kept_nanos[kind] += saved_nanos
        self._seen = max(self._seen, newest)  # at the start the database may be behind the log

    def _meter(self, deployment: str) -> Meter:
        """Its own, or that of all who came after `MOST`: one that has its own keeps it, so all only rise."""
        if deployment not in self.meters and len(self.meters) >= MOST:
            deployment = OTHERS
        bounds = len(self._bounds_us)
        nothing = Meter(Timing([0] * bounds), Timing([0] * bounds))
        return self.meters.setdefault(deployment, nothing)

    def _sums(self, expression: str) -> str:
        return ", ".join(f"sum({expression} <= {bound})" for bound in self._bounds_us)


def _count(meter: Meter, counts: Sequence[int]) -> None:
    """Tokens, in the order of `TOKEN_BUCKETS`."""
    for bucket, count in zip(TOKEN_BUCKETS, counts, strict=True):
        meter.tokens[bucket] += count


def _add(timing: Timing, count: int, sum_us: int, below: Sequence[int]) -> None:
    timing.count += count
    timing.sum_us += sum_us
    timing.below = [before + more for before, more in zip(timing.below, below, strict=True)]


def newest_entry(db: sqlite3.Connection) -> int:
    """Log index of the newest entry in the projection; -1 when it is empty."""
    newest: int = db.execute(statements("meters")["newest"]).fetchone()[0]
    return newest


def paces(db: sqlite3.Connection, now_ms: int) -> dict[str, Pace]:
    """How each server that was used in the last minute answered."""
    sql = statements("meters")
    after = newest_entry(db) - _LOOKBACK
    found: dict[str, Pace] = {}
    wanted = {"after": after, "since_ms": now_ms - PACE_WINDOW_MS}
    for server, calls, tokens_in, tokens_out in db.execute(sql["paces"], wanted).fetchall():
        times = db.execute(sql["first_bytes"], {"after": after, "server": server, "limit": _FIRST_BYTES})
        first_bytes = tuple(sorted(time for (time,) in times))
        found[server] = Pace(calls, tokens_in, tokens_out, first_bytes)
    return found
