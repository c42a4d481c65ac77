"""Subscriptions and rented machines: flat, by the hour, capped, and shared out to the last nano."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.config_prices import SubscriptionConfig
from freehold.costs.flat import flat_cost, shares
from freehold.costs.windows import DAY_MS, month_span

USD = 10**9
MONTH = month_span(2026, 11)


def test_a_subscription_counts_as_the_month_passes() -> None:
    found = flat_cost(
        SubscriptionConfig(provider="claude", usd_per_month=90),
        MONTH,
        MONTH.start_ms + 20 * DAY_MS,
        300,
        340 * USD,
    )
    assert (found.label, found.month_nanos, found.until_now_nanos) == ("provider claude", 90 * USD, 60 * USD)
    assert (found.at_list_nanos, found.capped) == (340 * USD, False)


def test_a_month_that_is_over_counts_whole_and_one_to_come_not_yet() -> None:
    plan = SubscriptionConfig(provider="claude", usd_per_month=90)
    assert flat_cost(plan, MONTH, MONTH.end_ms + 5, 0, 0).until_now_nanos == 90 * USD
    assert flat_cost(plan, MONTH, MONTH.start_ms - 5, 0, 0).until_now_nanos == 0


def test_a_rented_machine_stops_at_its_cap() -> None:
    gpu = SubscriptionConfig(server="big", usd_per_hour=0.6, cap_usd=25)
    assert flat_cost(gpu, MONTH, MONTH.end_ms, 41, 0).month_nanos == 24_600_000_000
    over = flat_cost(gpu, MONTH, MONTH.end_ms, 42, 0)
    assert (over.month_nanos, over.until_now_nanos, over.capped) == (25 * USD, 25 * USD, True)


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), max_size=50))
def test_what_is_shared_out_adds_up(amount: int, weights: list[int]) -> None:
    given_out = list(shares(amount, weights, sum(weights)))
    assert len(given_out) == len(weights)
    assert all(share >= 0 for share in given_out)
    assert sum(given_out) == (amount if sum(weights) else 0)
