"""Spans of the calendar in a time zone: hours, days, weeks, months. Pure.

A span is half open and in UTC milliseconds. A day begins at its first moment, also where the clock jumps over
midnight. Rolling windows and what is spent in them are `budgets`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal, NamedTuple

HOUR_MS = 3_600_000
DAY_MS = 86_400_000

Unit = Literal["hour", "day", "week", "month"]


class Span(NamedTuple):
    """`start_ms` is in it, `end_ms` is not."""

    start_ms: int
    end_ms: int

    def share(self, at_ms: int) -> float:
        """How much of it has passed: 0 before it, 1 after it."""
        return min(1.0, max(0.0, (at_ms - self.start_ms) / max(1, self.end_ms - self.start_ms)))


def span_at(unit: Unit, at_ms: int, zone: tzinfo = UTC) -> Span:
    """The hour, day, week (from Monday) or month that `at_ms` lies in."""
    if unit == "hour":
        return _hour(at_ms, zone)
    first = _first_day(unit, day_of(at_ms, zone))
    span = Span(_midnight_ms(first, zone), _midnight_ms(_next_first(unit, first), zone))
    if at_ms < span.end_ms:
        return span
    # The clock went back over midnight (St John's until 2011): the day has begun all the same.
    first = _next_first(unit, first)
    return Span(span.end_ms, _midnight_ms(_next_first(unit, first), zone))


def spans(unit: Unit, over: Span, zone: tzinfo = UTC) -> Iterator[Span]:
    """Every hour, day, week or month that `over` touches, in order; the outer ones are not cut."""
    at_ms = over.start_ms
    while at_ms < over.end_ms:
        span = span_at(unit, at_ms, zone)
        yield span
        at_ms = span.end_ms


def day_of(at_ms: int, zone: tzinfo = UTC) -> date:
    """The day in that zone."""
    return datetime.fromtimestamp(at_ms / 1000, zone).date()


def day_span(day: date, zone: tzinfo = UTC) -> Span:
    """From the first moment of a day to that of the next: 23 to 25 hours."""
    return Span(_midnight_ms(day, zone), _midnight_ms(day + timedelta(days=1), zone))


def month_span(year: int, month: int, zone: tzinfo = UTC) -> Span:
    """A whole month."""
    first = date(year, month, 1)
    return Span(_midnight_ms(first, zone), _midnight_ms(_next_first("month", first), zone))


def days_in_month(day: date) -> int:
    """28 to 31."""
    return monthrange(day.year, day.month)[1]


def label(unit: Unit, at_ms: int, zone: tzinfo = UTC) -> str:
    """The span's name, which sorts by time: `2026-11-21T04:00+01:00`, `2026-11-21`, `2026-W47`, `2026-11`."""
    at = datetime.fromtimestamp(at_ms / 1000, zone)
    match unit:
        case "hour":
            shown = at.replace(minute=0, second=0, microsecond=0).isoformat(timespec="minutes")
            return shown.replace("+00:00", "Z")
        case "day":
            return at.date().isoformat()
        case "week":
            year, week, _ = at.isocalendar()
            return f"{year}-W{week:02d}"
        case "month":
            return f"{at:%Y-%m}"


def _hour(at_ms: int, zone: tzinfo) -> Span:
    """Hours of the clock on the wall: zones with half hours begin theirs at half past UTC's."""
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset() or timedelta()
    offset_ms = round(offset.total_seconds() * 1000)
    start = at_ms - (at_ms + offset_ms) % HOUR_MS
    return Span(start, start + HOUR_MS)


def _first_day(unit: Unit, day: date) -> date:
    if unit == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if unit == "month" else day


def _next_first(unit: Unit, first: date) -> date:
    days = {"day": 1, "week": 7}.get(unit) or days_in_month(first)
    return first + timedelta(days=days)


def _midnight_ms(day: date, zone: tzinfo) -> int:
    """The first moment of a day. Where midnight comes twice the first one is meant; where the clock jumps
    over it, the jump (PEP 495: a time that does not exist is read with the offset before it)."""
    return round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
