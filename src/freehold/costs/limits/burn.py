"""How fast a window is used up, from readings at odd times. Pure values.

Pace = what was used / the time in which it was, both fading with age: a reading of `memory_ms` ago weighs
1/e of one now. What is used comes in lumps (calls), so the error of the sum is the root of the summed squares
of the lumps (a compound Poisson process), beside half a step of how coarsely the provider counts.
"""

from __future__ import annotations

import math

import msgspec

SHORTEST_MS, LONGEST_MS = 30_000, 86_400_000
USUAL_MS = 300_000
"""Memory for a window of unknown length."""
BAND = 1.645
"""Deviations on each side: nine times of ten the truth is between."""


class Pace(msgspec.Struct, frozen=True, gc=False):
    """Units for each millisecond, with the ends of the error band; `low` is never below 0."""

    mean: float = 0.0
    low: float = 0.0
    high: float = 0.0


class Burn(msgspec.Struct, frozen=True, gc=False):
    """Faded sums at `at_ms`: used units, their squares, and milliseconds."""

    at_ms: int
    memory_ms: float
    used: float = 0.0
    squares: float = 0.0
    time_ms: float = 0.0

    def after(self, now_ms: int, used: float) -> Burn:
        """With `used` more units by `now_ms`."""
        faded = self._faded(now_ms)
        return msgspec.structs.replace(faded, used=faded.used + used, squares=faded.squares + used * used)

    def skipped(self, now_ms: int) -> Burn:
        """As if nothing was known of the time until `now_ms`: it neither counts nor fades anything."""
        return msgspec.structs.replace(self, at_ms=max(now_ms, self.at_ms))

    def pace(self, now_ms: int, step: float) -> Pace:
        """What is used now. `step`: how coarsely it is counted. Nothing is known within the first second."""
        faded = self._faded(now_ms)
        if faded.time_ms < 1000 or not faded.used:
            return Pace()
        mean = faded.used / faded.time_ms
        error = BAND * math.sqrt(faded.squares + step * step / 6) / faded.time_ms
        return Pace(mean, max(0.0, mean - error), mean + error)

    def _faded(self, now_ms: int) -> Burn:
        passed = max(0, now_ms - self.at_ms)
        if not passed:
            return self
        kept = math.exp(-passed / self.memory_ms)
        return Burn(
            at_ms=now_ms,
            memory_ms=self.memory_ms,
            used=self.used * kept,
            squares=self.squares * kept * kept,
            time_ms=self.time_ms * kept + self.memory_ms * (1 - kept),
        )


def first_reading(now_ms: int, length_ms: int | None) -> Burn:
    """Of a window of that length. A week remembers a day, so that a night does not hide its pace."""
    memory = USUAL_MS if length_ms is None else min(LONGEST_MS, max(SHORTEST_MS, length_ms / 7))
    return Burn(at_ms=now_ms, memory_ms=memory)
