"""What a server's tokens cost, learned from what its calls cost."""

from __future__ import annotations

import pytest

from freehold.core.usage import Usage
from freehold.costs.own_tokens import READING, TokenCosts


def test_calls_of_one_kind_are_met_exactly_and_nobody_knows_before_the_first() -> None:
    costs = TokenCosts()
    assert costs.of("own") is None
    usage = Usage(fresh_in=400, visible_out=80)
    for _ in range(5):
        costs.learn("own", 1_000_000, usage)
    rates = costs.of("own")
    assert rates is not None
    assert (400 * rates.fresh_in + 80 * rates.out) / 1_000_000 == pytest.approx(1_000_000)
    assert rates.out == pytest.approx(READING * rates.fresh_in, abs=READING)
    assert costs.of("other") is None


def test_what_is_cached_is_not_read_again_and_calls_without_tokens_say_nothing() -> None:
    costs = TokenCosts()
    costs.learn("own", 500, Usage())
    costs.learn("own", 500, Usage(cache_read=1000))
    assert costs.of("own") is None
    costs.learn("own", 500, Usage(cache_read=1000, visible_out=50))
    found = costs.of("own")
    assert found is not None
    assert found.out == 10_000_000


def test_newer_calls_say_more() -> None:
    costs = TokenCosts()
    usage = Usage(visible_out=100)
    for nanos in (*[1_000] * 100, *[3_000] * 60):
        costs.learn("own", nanos, usage)
    found = costs.of("own")
    assert found is not None
    assert found.out == pytest.approx(30_000_000, rel=0.05)
