"""From when to when a budget counts. Pure: the time is passed in, in milliseconds since the epoch, UTC.

Days, weeks and months are those of a time zone (`costs.windows`), hours those of UTC, all of one length.
A rolling window has no beginning: what was spent leaves it in slices, each when its last moment is as old as
the window is long, so a window never forgets too early.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import Literal

import msgspec

from freehold.costs import windows as calendar
from freehold.costs.windows import HOUR_MS, Span

_SLICES = 144
"""A window of less than six days is cut so finely; a longer one by hours, as the sums of receipts are."""
FOREVER_MS = 1 << 62

WindowKind = Literal["total", "hour", "day", "week", "month", "rolling"]


EVER = Span(-FOREVER_MS, FOREVER_MS)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """`zone` matters to days, weeks and months, `length_ms` to rolling windows only."""

    kind: WindowKind
    zone: tzinfo
    length_ms: int = 0

    @property
    def rolls(self) -> bool:
        return self.kind == "rolling"

    @property
    def slice_ms(self) -> int:
        """How finely a rolling window forgets."""
        return min(HOUR_MS, max(1, self.length_ms // _SLICES))


def span_at(window: Window, at_ms: int) -> Span:
    """The part of the calendar that a moment lies in; ever, where the window has no parts."""
    match window.kind:
        case "total" | "rolling":
            return EVER
        case "hour":
            start_ms = at_ms - at_ms % HOUR_MS
            return Span(start_ms, start_ms + HOUR_MS)
        case "day" | "week" | "month":
            return calendar.span_at(window.kind, at_ms, window.zone)


def leaves_ms(window: Window, number: int) -> int:
    """When a slice is no longer in the window."""
    return (number + 1) * window.slice_ms + window.length_ms


def since_ms(window: Window, now_ms: int) -> int:
    """What was spent before this does not count any more."""
    if window.rolls:
        return ((now_ms - window.length_ms) // window.slice_ms) * window.slice_ms
    return span_at(window, now_ms).start_ms
