"""The time of a call on servers of ours, where electricity and wear cost something."""

from __future__ import annotations

from freehold.core.clock import Clock
from freehold.costs.local import LocalMeter, Mark
from freehold.gateway.record import Measured, together


class Stay:
    """Begins with the lease; `leave` more than once changes nothing."""

    __slots__ = ("_clock", "_mark", "_meter", "_parts")

    def __init__(self, meter: LocalMeter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock
        self._mark: Mark | None = None
        self._parts: list[Measured] = []

    def enter(self) -> None:
        """A server works for the call from now on."""
        self._mark = self._meter.enter(self._clock.now_ms())

    def leave(self) -> None:
        """It does not any more."""
        mark, self._mark = self._mark, None
        if mark is not None:
            cost = self._meter.leave(mark, self._clock.now_ms())
            self._parts.append(
                Measured(
                    cost_nanos=cost.nanos,
                    own_nanos=cost.nanos,
                    cost_state=cost.state,
                    price_snapshot=self._meter.snapshot,
                )
            )

    def cost(self) -> Measured | None:
        """Of all of it since the last asking; None: there was nothing."""
        self.leave()
        parts, self._parts = self._parts, []
        return together(parts) if parts else None
