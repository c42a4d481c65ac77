"""Counters of deployments and speeds of servers, read from the projection when somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from freehold.cache.answers import AnswerCounts
from freehold.core.clock import Clock
from freehold.receipts.meters import MeterReader, Pace, Timing, paces
from freehold.receipts.snapshot import snapshot
from freehold.web.control import BOUNDS_S, DeploymentMeter, Histogram, ServerSpeed
from freehold.web.money import CacheMeter

_WINDOW_S = 60
_NO_PLACE = "none"
"""Stands for calls that were refused before a deployment was chosen."""


class Meters:
    """`catch_up` reads files and belongs in a worker thread; the rest answers from memory, in any thread."""

    def __init__(self, home: Path, clock: Clock, entries: int) -> None:
        """`entries`: so many the ledger had when Freehold started; what came since is counted."""
        self._home = home
        self._clock = clock
        self._reader = MeterReader(entries - 1, [round(bound * 1e6) for bound in BOUNDS_S])
        self._paces: Mapping[str, Pace] = {}
        self._deployments: tuple[DeploymentMeter, ...] = ()
        self._kept_calls: Mapping[str, int] = {}
        self._kept_nanos: Mapping[str, int] = {}
        self._lock = threading.Lock()

    def catch_up(self) -> None:
        """Count what was published since the last time. Never raises: no database yet is no calls yet."""
        with self._lock:
            reader = self._reader
            with snapshot(self._home) as (db, _):
                if db is None:
                    return
                reader.catch_up(db)
                self._paces = paces(db, self._clock.now_ms())
            self._kept_calls, self._kept_nanos = dict(reader.kept_calls), dict(reader.kept_nanos)
            self._deployments = tuple(
                DeploymentMeter(
                    deployment=name or _NO_PLACE,
                    calls=dict(meter.calls),
                    tokens=dict(meter.tokens),
                    cost_nanos=dict(meter.cost_nanos),
                    first_byte=_histogram(meter.first_byte),
                    total=_histogram(meter.total),
                )
                for name, meter in reader.meters.items()
            )

    def deployments(self) -> tuple[DeploymentMeter, ...]:
        """Those that were asked since the start, as of the last `catch_up`."""
        return self._deployments

    def kept(self, counts: AnswerCounts | None) -> CacheMeter:
        """Calls that no model was asked for. `counts`: what the cache says of itself, where there is one."""
        return CacheMeter(
            hits=self._kept_calls,
            saved_nanos=self._kept_nanos,
            misses=0 if counts is None else counts.misses,
            entries=0 if counts is None else counts.entries,
        )

    def speed(self, server: str) -> ServerSpeed:
        """How fast a server answered lately, as of the last `catch_up`."""
        pace = self._paces.get(server)
        if pace is None:
            return ServerSpeed()
        return ServerSpeed(
            calls=pace.calls,
            tokens_in_per_s=pace.tokens_in / _WINDOW_S,
            tokens_out_per_s=pace.tokens_out / _WINDOW_S,
            first_token_p50_ms=_at(pace.first_bytes_us, 0.5),
            first_token_p95_ms=_at(pace.first_bytes_us, 0.95),
        )


def _histogram(timing: Timing) -> Histogram:
    return Histogram(below=tuple(timing.below), count=timing.count, sum_us=timing.sum_us)


def _at(sorted_us: tuple[int, ...], share: float) -> int | None:
    """The quantile in milliseconds, nearest rank."""
    if not sorted_us:
        return None
    return sorted_us[min(len(sorted_us) - 1, int(share * len(sorted_us)))] // 1000
