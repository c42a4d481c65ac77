"""What a month will have cost: steady, growing, with quiet Sundays, and with nothing known."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.costs.forecast import Day, Today, forecast

USD = 10**9
LAST = date(2026, 11, 30)


def days(first: date, costs: list[float]) -> list[Day]:
    return [Day(first + timedelta(days=number), round(usd * USD)) for number, usd in enumerate(costs)]


def today(day: date, usd: float = 0.0, share: float = 0.0) -> Today:
    return Today(day=day, nanos=round(usd * USD), share=share)


def test_a_steady_month_ends_where_it_must() -> None:
    found = forecast(days(date(2026, 11, 1), [2.0] * 20), today(date(2026, 11, 21)), LAST)
    assert found.spent_nanos == 40 * USD
    assert (found.low_nanos, found.expected_nanos, found.high_nanos) == (60 * USD,) * 3
    assert (found.until, found.known_days) == (LAST, 20)


def test_half_of_today_is_still_to_come() -> None:
    found = forecast(days(date(2026, 11, 1), [2.0] * 20), today(date(2026, 11, 21), 1.0, 0.5), LAST)
    assert found.expected_nanos == 60 * USD


def test_the_month_before_counts_for_the_pace_but_not_as_spent() -> None:
    found = forecast(days(date(2026, 10, 25), [3.0] * 7), today(date(2026, 11, 1)), LAST)
    assert (found.spent_nanos, found.expected_nanos) == (0, 90 * USD)


def test_quiet_weekends_are_expected_to_be_quiet() -> None:
    first = date(2026, 9, 28)  # a Monday
    costs = [10.0 if number % 7 < 5 else 0.0 for number in range(54)]
    found = forecast(days(first, costs), today(first + timedelta(days=54)), LAST)
    to_come = sum(10 for number in range(54, 64) if number % 7 < 5)
    assert (found.expected_nanos - found.spent_nanos) / USD == pytest.approx(to_come, rel=0.1)
    straight = forecast(days(first, [500 / 70] * 54), today(first + timedelta(days=54)), LAST)
    assert straight.expected_nanos - straight.spent_nanos != found.expected_nanos - found.spent_nanos


def test_growth_goes_on() -> None:
    costs = [1 + 0.1 * number for number in range(28)]
    found = forecast(days(date(2026, 10, 24), costs), today(date(2026, 11, 21)), LAST)
    to_come = sum(1 + 0.1 * number for number in range(28, 38))
    assert (found.expected_nanos - found.spent_nanos) / USD == pytest.approx(to_come, rel=0.05)


def test_nine_months_of_ten_end_within_the_band() -> None:
    chance, hits, rounds = random.Random(5), 0, 200
    for _ in range(rounds):
        costs = [max(0.0, chance.gauss(5, 2)) for _ in range(38)]
        found = forecast(days(date(2026, 10, 24), costs[:28]), today(date(2026, 11, 21)), LAST)
        truth = found.spent_nanos + round(sum(costs[28:]) * USD)
        hits += found.low_nanos <= truth <= found.high_nanos
    assert 0.82 * rounds < hits < 0.99 * rounds


def test_the_first_day_alone_gives_a_wide_band() -> None:
    found = forecast([], today(date(2026, 11, 21), 3.0, 0.5), LAST)
    assert found.expected_nanos == 3 * USD + round(6 * 9.5 * USD)
    assert (found.low_nanos, found.known_days) == (3 * USD, 0)


def test_a_house_that_spends_nothing_will_have_spent_nothing() -> None:
    found = forecast(days(date(2026, 11, 1), [0.0] * 20), today(date(2026, 11, 21)), LAST)
    assert found.expected_nanos == found.high_nanos == 0


@given(st.lists(st.floats(0, 1000), max_size=70), st.floats(0, 1), st.floats(0, 100))
def test_a_forecast_is_never_less_than_what_was_spent(costs: list[float], share: float, usd: float) -> None:
    first = date(2026, 11, 21) - timedelta(days=len(costs))
    found = forecast(days(first, costs), today(date(2026, 11, 21), usd, share), LAST)
    assert 0 <= found.spent_nanos <= found.low_nanos <= found.expected_nanos <= found.high_nanos
