"""What is left of providers' limits, kept across restarts: `limits.json` in the state folder."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from freehold.app.to_the_end import to_the_end
from freehold.core.clock import Clock
from freehold.costs.limits.book import LimitBook, views_of
from freehold.costs.limits.window import LimitView

LIMITS_FILE = "limits.json"
KEEP_S = 3.0


class HouseLimits:
    """`book` is what the gateway and the router ask. `keep` is awaited by whoever owns the house's life."""

    def __init__(self, home: Path, human_reserve: float, clock: Clock) -> None:
        self.book = LimitBook(human_reserve)
        self._path = home / LIMITS_FILE
        self._clock = clock
        self._kept = 0
        with contextlib.suppress(OSError):
            self.book.restore(self._path.read_bytes(), clock.now_ms())

    async def keep(self) -> None:
        """Write what is new, every few seconds, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(KEEP_S)
                if self.book.changes != self._kept:
                    document = self._taken()
                    await to_the_end(self._write, document)
        finally:
            if self.book.changes != self._kept:
                self._write(self._taken())

    def views(self) -> tuple[LimitView, ...]:
        """Every window as it stands now."""
        return self.book.views(self._clock.now_ms())

    def _taken(self) -> bytes:
        self._kept = self.book.changes
        return self.book.document()

    def _write(self, document: bytes) -> None:
        """Whole or not at all. A full disk costs nothing but this memory."""
        part = self._path.with_suffix(".part")
        with contextlib.suppress(OSError):
            part.write_bytes(document)
            part.replace(self._path)


def kept_limits(home: Path, now_ms: int) -> tuple[LimitView, ...]:
    """What the state folder tells, with or without a running Freehold: a few seconds old at most."""
    try:
        return views_of((home / LIMITS_FILE).read_bytes(), now_ms)
    except OSError:
        return ()
