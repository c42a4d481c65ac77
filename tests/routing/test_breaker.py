"""The circuit breaker of a deployment: it opens after failures in a row and always opens its door again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.breaker import (
    CLOSED,
    FAILURES_TO_OPEN,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    Breaker,
    after_failure,
    after_rate_limit,
    allows,
)


def failed(breaker: Breaker, *moments_s: float) -> Breaker:
    for now_s in moments_s:
        breaker = after_failure(breaker, now_s)
    return breaker


def test_few_failures_keep_it_closed_and_the_fifth_opens_it():
    assert allows(failed(CLOSED, 1, 2, 3, 4), 4)
    opened = failed(CLOSED, 1, 2, 3, 4, 5)
    assert not allows(opened, 5)
    assert not allows(opened, 5 + FIRST_PAUSE_S - 0.01)
    assert allows(opened, 5 + FIRST_PAUSE_S)


@pytest.mark.parametrize(
    ("probes", "pause_s"), [(0, 5), (1, 10), (2, 20), (3, 40), (4, 80), (5, 120), (9, 120)]
)
def test_each_failed_probe_doubles_the_pause_up_to_a_bound(probes, pause_s):
    breaker = failed(CLOSED, *[0.0] * FAILURES_TO_OPEN)
    now_s = 0.0
    for _ in range(probes):
        now_s = breaker.open_until_s
        breaker = after_failure(breaker, now_s)
    assert breaker.open_until_s - now_s == pause_s


def test_a_place_that_never_comes_back_is_still_asked_after_weeks():
    """The number of pauses has no bound: the pause must have one."""
    breaker = CLOSED
    for _ in range(5000):
        breaker = after_failure(breaker, breaker.open_until_s)
    assert allows(breaker, breaker.open_until_s)
    assert after_failure(breaker, 0.0).open_until_s == LONGEST_PAUSE_S


@pytest.mark.parametrize(("asked_s", "quiet_s"), [(3.0, 3.0), (100_000.0, LONGEST_PAUSE_S)])
def test_a_rate_limit_is_a_pause_but_no_fault(asked_s, quiet_s):
    limited = after_rate_limit(CLOSED, 50.0, asked_s)
    assert not allows(limited, 50.0)
    assert allows(limited, 50.0 + quiet_s)
    assert limited.failures == 0
    assert allows(after_failure(limited, 50.0 + quiet_s), 50.0 + quiet_s)


def test_a_rate_limit_never_shortens_a_pause():
    opened = failed(CLOSED, *[0.0] * FAILURES_TO_OPEN)
    assert after_rate_limit(opened, 0.0, 1.0).open_until_s == opened.open_until_s


@given(
    st.lists(
        st.tuples(st.sampled_from(["failure", "limit"]), st.floats(0, 500), st.floats(0, 1e6)), max_size=60
    )
)
def test_whatever_happens_it_reopens_after_a_bounded_pause(happenings):
    breaker, now_s = CLOSED, 0.0
    for kind, after_s, quiet_s in happenings:
        now_s += after_s
        breaker = (
            after_failure(breaker, now_s) if kind == "failure" else after_rate_limit(breaker, now_s, quiet_s)
        )
        assert breaker.open_until_s <= now_s + LONGEST_PAUSE_S
        assert allows(breaker, now_s + LONGEST_PAUSE_S)
        assert allows(breaker, breaker.open_until_s)
