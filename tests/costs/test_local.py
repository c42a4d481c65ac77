"""What tokens of our own cost: every joule and every day of the machine's life is borne once."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from freehold.core.config_prices import EnergyConfig, HardwareConfig
from freehold.costs.local import EnergyRules, LocalMeter, Mark, rules_of

NOW_MS = round(datetime(2026, 11, 21, 4, 0, tzinfo=UTC).timestamp() * 1000)
SECOND_MS, HOUR_MS = 1000, 3_600_000
KILOWATT = EnergyConfig(tariff_per_kwh_usd=0.36, busy_watts=1000, idle_watts=100)
"""A kilowatt at 36 cents costs 100,000 nano-USD a second."""


def rules(config: EnergyConfig = KILOWATT) -> EnergyRules:
    found = rules_of(config)
    assert found is not None
    return found


def meter(config: EnergyConfig = KILOWATT) -> LocalMeter:
    return LocalMeter(rules(config), UTC, NOW_MS)


def test_without_anything_said_tokens_of_our_own_are_free() -> None:
    assert rules_of(EnergyConfig()) is None
    assert rules_of(EnergyConfig(idle_watts=50, busy_watts=200)) is None


def test_a_call_alone_pays_for_the_whole_machine() -> None:
    one = meter()
    cost = one.leave(one.enter(NOW_MS), NOW_MS + 10 * SECOND_MS)
    assert (cost.nanos, cost.state, cost.energy_uj) == (1_000_000, "estimated", 10_000 * 10**6)


def test_calls_at_the_same_time_share_it() -> None:
    one = meter()
    first = one.enter(NOW_MS)
    second = one.enter(NOW_MS + 5 * SECOND_MS)
    ended = one.leave(first, NOW_MS + 10 * SECOND_MS)
    last = one.leave(second, NOW_MS + 20 * SECOND_MS)
    assert ended.nanos == 500_000 + 250_000
    assert last.nanos == 250_000 + 1_000_000
    sums = one.take_sums(NOW_MS + 20 * SECOND_MS)
    assert sums.busy_nanos == ended.nanos + last.nanos == 2_000_000
    assert (sums.idle_nanos, sums.busy_ms, sums.calls) == (0, 20_000, 2)


def test_what_an_idle_machine_costs_is_in_no_call() -> None:
    one = meter()
    cost = one.leave(one.enter(NOW_MS + HOUR_MS), NOW_MS + HOUR_MS + SECOND_MS)
    sums = one.take_sums(NOW_MS + 2 * HOUR_MS + SECOND_MS)
    assert cost.nanos == 100_000
    assert sums.idle_nanos == 2 * 36_000_000
    assert sums.idle_uj == 2 * 100 * 3600 * 10**6


def test_measured_watts_count_instead_of_said_ones() -> None:
    one = meter()
    one.measured(500, NOW_MS)
    cost = one.leave(one.enter(NOW_MS), NOW_MS + 10 * SECOND_MS)
    assert (cost.nanos, cost.state) == (500_000, "computed")
    mark = one.enter(NOW_MS + 10 * SECOND_MS)
    one.measured(None, NOW_MS + 15 * SECOND_MS)
    cost = one.leave(mark, NOW_MS + 20 * SECOND_MS)
    assert (cost.nanos, cost.state) == (250_000 + 500_000, "estimated")


def test_the_hour_of_the_day_decides_the_tariff() -> None:
    hours = tuple(0.36 if hour < 5 else 0.72 for hour in range(24))
    one = meter(EnergyConfig(tariff_per_kwh_usd=hours, busy_watts=1000))
    mark = one.enter(NOW_MS + HOUR_MS - 10 * SECOND_MS)
    assert one.leave(mark, NOW_MS + HOUR_MS + 10 * SECOND_MS).nanos == 1_000_000 + 2_000_000


def test_wear_is_the_price_over_the_lifetime() -> None:
    hardware = HardwareConfig(price_usd=3200, resale_usd=46.4, lifetime_s=365 * 86_400)
    one = meter(EnergyConfig(hardware=hardware))
    cost = one.leave(one.enter(NOW_MS), NOW_MS + SECOND_MS)
    assert cost.nanos == 100_000, "3,153.60 USD in a year are 100,000 nano-USD a second"
    assert cost.state == "computed"


def test_a_clock_that_is_set_back_makes_no_call_free() -> None:
    one = meter()
    one.take_sums(NOW_MS + HOUR_MS)
    cost = one.leave(one.enter(NOW_MS), NOW_MS + 10 * SECOND_MS)
    assert (cost.nanos, cost.energy_uj) == (1_000_000, 10_000 * 10**6)


def test_what_a_machine_drew_while_it_slept_is_nobody_s() -> None:
    one = LocalMeter(rules(), UTC, NOW_MS, longest_ms=120_000)
    one.take_sums(NOW_MS + 60 * SECOND_MS)
    assert one.take_sums(NOW_MS + 8 * HOUR_MS).idle_ms == 0


def test_a_cost_with_a_gap_in_its_time_is_an_estimate_even_where_watts_are_measured() -> None:
    one = LocalMeter(rules(), UTC, NOW_MS, longest_ms=120_000)
    one.measured(500, NOW_MS)
    mark = one.enter(NOW_MS)
    one.measured(500, NOW_MS + 10 * SECOND_MS)
    cost = one.leave(mark, NOW_MS + HOUR_MS)
    assert (cost.nanos, cost.state) == (500_000, "estimated")


def test_rules_are_a_document_that_a_receipt_can_name() -> None:
    assert rules().document() == rules().document()
    assert rules().document() != rules(EnergyConfig(tariff_per_kwh_usd=0.3, busy_watts=1000)).document()


@given(
    st.lists(
        st.tuples(st.integers(0, 2 * HOUR_MS), st.sampled_from(["enter", "leave", "measure", "take"])),
        max_size=60,
    )
)
def test_calls_and_idle_time_together_are_what_the_machine_cost(steps: list[tuple[int, str]]) -> None:
    hardware = HardwareConfig(price_usd=1000, lifetime_s=10**8)
    config = EnergyConfig(tariff_per_kwh_usd=0.31, busy_watts=377.7, idle_watts=61, hardware=hardware)
    one, now_ms = meter(config), NOW_MS
    marks: list[Mark] = []
    of_calls, busy, calls = 0, 0, 0
    for number, (passed, what) in enumerate(steps):
        now_ms += passed
        if what == "enter":
            marks.append(one.enter(now_ms))
        elif what == "leave" and marks:
            of_calls += one.leave(marks.pop(number % len(marks)), now_ms).nanos
            calls += 1
        elif what == "measure":
            one.measured(number * 10.0 if number % 3 else None, now_ms)
        elif what == "take":
            busy += one.take_sums(now_ms).busy_nanos
    for mark in marks:
        of_calls += one.leave(mark, now_ms).nanos
    busy += one.take_sums(now_ms).busy_nanos
    assert abs(of_calls - busy) <= 1 + (calls + len(marks)) * 0.5 + len(steps) * 1e-6
