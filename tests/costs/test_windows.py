"""Days, weeks and months where people live: clocks that jump, and go back, over midnight included."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.costs.windows import (
    DAY_MS,
    HOUR_MS,
    Span,
    Unit,
    day_of,
    day_span,
    label,
    month_span,
    span_at,
    spans,
)

VIENNA = ZoneInfo("Europe/Vienna")
ZONES = [
    UTC,
    VIENNA,
    *map(ZoneInfo, ("America/Sao_Paulo", "America/St_Johns", "Asia/Kolkata", "Asia/Beirut")),
]


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def test_a_month_in_vienna_begins_before_it_does_in_utc() -> None:
    november = span_at("month", ms("2026-11-21T04:00+01:00"), VIENNA)
    assert november == Span(ms("2026-10-31T23:00Z"), ms("2026-11-30T23:00Z"))
    assert november == month_span(2026, 11, VIENNA)


def test_the_day_on_which_summer_time_ends_has_25_hours() -> None:
    day = day_span(date(2026, 10, 25), VIENNA)
    assert day.end_ms - day.start_ms == 25 * HOUR_MS
    assert len(list(spans("hour", day, VIENNA))) == 25


def test_a_week_begins_on_monday_and_is_named_as_iso_says() -> None:
    week = span_at("week", ms("2027-01-01T12:00Z"))
    assert week.start_ms == ms("2026-12-28T00:00Z")
    assert label("week", ms("2027-01-01T12:00Z")) == "2026-W53"


def test_a_day_without_midnight_begins_after_the_jump() -> None:
    zone = ZoneInfo("America/Sao_Paulo")  # until 2018 summer time began at 00:00
    day = day_span(date(2018, 11, 4), zone)
    assert day.start_ms == ms("2018-11-04T03:00Z")
    assert day.end_ms - day.start_ms == 23 * HOUR_MS


def test_a_clock_that_goes_back_over_midnight_does_not_lose_the_moment() -> None:
    zone = ZoneInfo("America/St_Johns")  # 2010-11-07 00:01 became 23:01 of the 6th
    again = ms("2010-11-07T03:00Z")
    assert day_of(again, zone) == date(2010, 11, 6)
    day = span_at("day", again, zone)
    assert day.start_ms <= again < day.end_ms


def test_hours_of_a_zone_with_half_hours_begin_at_half_past() -> None:
    zone = ZoneInfo("Asia/Kolkata")
    at = ms("2026-11-21T10:20+05:30")
    assert span_at("hour", at, zone).start_ms == ms("2026-11-21T10:00+05:30")
    assert label("hour", at, zone) == "2026-11-21T10:00+05:30"
    assert label("hour", at) == "2026-11-21T04:00Z"


@given(
    at_ms=st.integers(ms("2009-01-01T00:00Z"), ms("2037-01-01T00:00Z")),
    unit=st.sampled_from(["hour", "day", "week", "month"]),
    zone=st.sampled_from(ZONES),
)
def test_every_moment_is_in_its_span_and_spans_follow_each_other(at_ms: int, unit: Unit, zone) -> None:
    span = span_at(unit, at_ms, zone)
    assert span.start_ms <= at_ms < span.end_ms
    assert span_at(unit, span.end_ms, zone).start_ms == span.end_ms


@given(at_ms=st.integers(ms("2009-01-01T00:00Z"), ms("2037-01-01T00:00Z")), zone=st.sampled_from(ZONES))
def test_the_days_of_a_month_fill_it(at_ms: int, zone) -> None:
    month = span_at("month", at_ms, zone)
    days = list(spans("day", month, zone))
    assert days[0].start_ms == month.start_ms and days[-1].end_ms == month.end_ms
    assert sum(day.end_ms - day.start_ms for day in days) == month.end_ms - month.start_ms
    assert 28 <= len(days) <= 31


@pytest.mark.parametrize(("at", "share"), [(-DAY_MS, 0.0), (0, 0.0), (DAY_MS // 2, 0.5), (2 * DAY_MS, 1.0)])
def test_how_much_of_a_span_has_passed(at: int, share: float) -> None:
    assert Span(0, DAY_MS).share(at) == share
