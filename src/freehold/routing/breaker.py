"""A circuit breaker per deployment, as a value with pure transitions.

closed -> (failures in a row) -> open until a time -> half-open: one probe -> closed or open, longer.
"""

from __future__ import annotations

import msgspec

FAILURES_TO_OPEN = 5
FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 120.0
_DOUBLINGS = 16
"""More than enough to come to the longest pause; without an end the power would overflow."""


class Breaker(msgspec.Struct, frozen=True):
    """`failures` in a row; `open_until_s` on the monotonic clock (0: closed); `pauses` so far in a row."""

    failures: int = 0
    open_until_s: float = 0.0
    pauses: int = 0


CLOSED = Breaker()


def allows(breaker: Breaker, now_s: float) -> bool:
    """Whether an attempt may start now. After the pause attempts pass again (the first is the probe)."""
    return now_s >= breaker.open_until_s


def after_failure(breaker: Breaker, now_s: float) -> Breaker:
    """One more failure. The fifth in a row opens, and so does a failed probe: each time for twice as long."""
    failures = breaker.failures + 1
    if failures < FAILURES_TO_OPEN and not breaker.pauses:
        return Breaker(failures, breaker.open_until_s, breaker.pauses)
    pause_s = min(FIRST_PAUSE_S * 2.0 ** min(breaker.pauses, _DOUBLINGS), LONGEST_PAUSE_S)
    return Breaker(failures, now_s + pause_s, breaker.pauses + 1)


def after_rate_limit(breaker: Breaker, now_s: float, retry_after_s: float) -> Breaker:
    """The place asked for quiet until then: a pause, not a fault."""
    return Breaker(
        breaker.failures,
        max(breaker.open_until_s, now_s + min(retry_after_s, LONGEST_PAUSE_S)),
        breaker.pauses,
    )
