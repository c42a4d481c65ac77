"""How numbers and times are said."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.cli.wording import clock_time, cost, dollars, duration, long_duration, moment_ms, plain
from freehold.core.errors import FreeholdError


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "$0.00"),
        (1, "$0.000000001"),
        (1_500_000, "$0.0015"),
        (10**9, "$1.00"),
        (1_234_500_000, "$1.2345"),
        (10**10 - 1, "$9.999999999"),
        (12_345_678_900_000, "$12,345.68"),
        (-(10**9), "-$1.00"),
    ],
)
def test_money(nanos: int, text: str) -> None:
    assert dollars(nanos) == text


@given(st.integers(-(10**10) + 1, 10**10 - 1))
def test_small_sums_lose_no_digit(nanos: int) -> None:
    sign, _, digits = dollars(nanos).partition("$")
    whole, _, part = digits.partition(".")
    assert int(sign + whole + part.ljust(9, "0")) == nanos


def test_doubt_about_a_cost_is_seen() -> None:
    assert [cost(5, "estimated"), cost(0, "unknown"), cost(0, "free")] == ["~$0.000000005", "?", "free"]
    assert cost(10**9, "billed", with_state=True) == "$1.00, billed"


def test_time_spans() -> None:
    assert [duration(us) for us in (850, 12_340, 4_200_000, 185_000_000)] == [
        "850 µs",
        "12.3 ms",
        "4.20 s",
        "3 min 5 s",
    ]
    assert [long_duration(s) for s in (5, 3_700, 190_000)] == ["5 s", "1 h 1 min", "2 d 4 h"]


def test_moments() -> None:
    assert clock_time(1_782_864_000_000, UTC) == "2026-07-01 00:00:00"
    assert moment_ms("7d", 7 * 86_400_000) == 0
    assert moment_ms("2026-07-01", 0) == 1_782_864_000_000
    assert moment_ms("2026-07-01T02:00+02:00", 0) == 1_782_864_000_000
    with pytest.raises(FreeholdError, match="is not a time"):
        moment_ms("7x", 0)


@given(st.text())
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    assert not any(ord(sign) < 32 or 127 <= ord(sign) < 160 for sign in plain(text))
