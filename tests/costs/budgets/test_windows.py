"""From when to when a budget counts."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.costs.budgets.windows import EVER, FOREVER_MS, Window, WindowKind, leaves_ms, since_ms, span_at
from tests.costs.budgets.budgeting import DAY, HOUR, T0

ZONES = ["UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Beirut"]
MOMENTS = st.integers(946_684_800_000, 2_500_000_000_000)  # from 2000 to 2049


def window(kind: WindowKind, zone: str = "UTC", length_ms: int = 0) -> Window:
    return Window(kind=kind, zone=ZoneInfo(zone), length_ms=length_ms)


def ms(zone: str, *when: int) -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[misc,arg-type]


@given(kind=st.sampled_from(["hour", "day", "week", "month"]), zone=st.sampled_from(ZONES), at_ms=MOMENTS)
def test_windows_of_the_calendar_follow_each_other_without_gap_or_overlap(
    kind: WindowKind, zone: str, at_ms: int
) -> None:
    span = span_at(window(kind, zone), at_ms)
    assert span.start_ms <= at_ms < span.end_ms
    assert span_at(window(kind, zone), span.end_ms).start_ms == span.end_ms
    assert span_at(window(kind, zone), span.start_ms) == span
    assert span_at(window(kind, zone), span.end_ms - 1) == span


@pytest.mark.parametrize(
    ("zone", "when", "hours"),
    [
        ("Europe/Vienna", (2026, 3, 29, 12), 23),
        ("Europe/Vienna", (2026, 10, 25, 12), 25),
        ("Europe/Vienna", (2026, 10, 26, 12), 24),
        ("Asia/Beirut", (2026, 3, 29, 12), 23),  # midnight itself is skipped
        ("Australia/Lord_Howe", (2026, 4, 5, 12), 24.5),
    ],
)
def test_a_day_on_which_the_clock_changes_is_as_long_as_it_is(
    zone: str, when: tuple[int, ...], hours: float
) -> None:
    span = span_at(window("day", zone), ms(zone, *when))
    assert (span.end_ms - span.start_ms) / HOUR == hours


def test_a_month_ends_with_its_last_day_in_its_own_zone() -> None:
    for month, days in ((2, 28), (4, 30), (12, 31)):
        span = span_at(window("month", "Europe/Vienna"), ms("Europe/Vienna", 2026, month, 28, 23, 59))
        assert span.start_ms == ms("Europe/Vienna", 2026, month, 1)
        assert span.end_ms == ms("Europe/Vienna", 2026 + month // 12, month % 12 + 1, 1)
        assert round((span.end_ms - span.start_ms) / DAY) == days


def test_a_week_begins_on_monday() -> None:
    start = datetime.fromtimestamp(span_at(window("week"), T0).start_ms / 1000, UTC)
    assert (start.isoweekday(), start.hour) == (1, 0)


def test_a_total_has_no_end() -> None:
    assert span_at(window("total"), T0) == EVER
    assert since_ms(window("total"), T0) == -FOREVER_MS


@given(length_ms=st.integers(60_000, 366 * DAY), at_ms=MOMENTS)
def test_a_rolling_window_forgets_not_too_early_and_hardly_too_late(length_ms: int, at_ms: int) -> None:
    rolling = window("rolling", length_ms=length_ms)
    leaves = leaves_ms(rolling, at_ms // rolling.slice_ms)
    assert length_ms < leaves - at_ms <= length_ms + rolling.slice_ms
    assert rolling.slice_ms <= max(length_ms / 144, 1)
    assert since_ms(rolling, at_ms + length_ms) <= at_ms
