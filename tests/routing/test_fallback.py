"""After a failed attempt: again, elsewhere, or tell the client. Bounded in tries and in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.routing.fallback import Failure, Next, Policy, after_failure

POLICY = Policy()


def step(
    status: int,
    *,
    more: bool = False,
    tries_here: int = 1,
    tries: int = 1,
    elapsed_s: float = 0.1,
    **told: object,
) -> Next:
    failure = Failure(status=status, **told)
    return after_failure(
        failure, policy=POLICY, tries_here=tries_here, tries=tries, more=more, elapsed_s=elapsed_s
    )


@pytest.mark.parametrize("status", [0, 408, 409, 429, 500, 502, 503, 504, 520, 522, 524, 529])
def test_what_may_pass_is_tried_elsewhere_at_once_else_here_again(status):
    assert step(status, more=True) == Next("elsewhere")
    assert step(status) == Next("retry", POLICY.backoff_s)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_is_this_places_fault_is_tried_elsewhere_only(status):
    assert step(status, more=True) == Next("elsewhere")
    assert step(status) == Next("stop")


@pytest.mark.parametrize("status", [400, 405, 413, 415, 422, 451, 501, 505])
def test_what_is_the_requests_fault_is_never_sent_again(status):
    assert step(status, more=True) == Next("stop")
    assert step(status) == Next("stop")


def test_a_prompt_that_is_too_long_for_this_place_is_tried_elsewhere_and_never_here_again():
    assert step(400, more=True, too_long=True) == Next("elsewhere")
    assert step(400, too_long=True) == Next("stop")


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"retry_after_s": 0.0}, Next("retry", 0.0)),
        ({"retry_after_s": 1.5}, Next("retry", 1.5)),
        ({"retry_after_s": POLICY.longest_wait_s}, Next("retry", POLICY.longest_wait_s)),
        ({"retry_after_s": POLICY.longest_wait_s + 0.1}, Next("stop")),
        ({"final_here": True}, Next("stop")),
        ({"timed_out": True}, Next("stop")),
    ],
)
def test_the_same_place_is_asked_again_when_and_only_if_it_says_so(told, expected):
    assert step(429, **told) == expected


@pytest.mark.parametrize("told", [{"retry_after_s": 600.0}, {"final_here": True}, {"timed_out": True}])
def test_another_place_is_not_bound_by_what_this_one_says(told):
    assert step(429, more=True, **told) == Next("elsewhere")


@pytest.mark.parametrize(
    "used_up",
    [{"tries": POLICY.tries_total}, {"elapsed_s": POLICY.patience_s}],
)
def test_tries_and_patience_end_everything(used_up):
    assert step(503, more=True, **used_up) == Next("stop")
    assert step(503, **used_up) == Next("stop")


def test_the_last_try_here_is_the_last():
    assert step(503, tries_here=POLICY.tries_per_deployment) == Next("stop")


def test_a_wait_that_would_end_after_patience_is_not_begun():
    assert step(503, elapsed_s=POLICY.patience_s - 1, retry_after_s=2.0) == Next("stop")


FAILURES = st.builds(
    Failure,
    status=st.sampled_from([0, 400, 401, 404, 408, 409, 429, 500, 501, 503, 529]),
    retry_after_s=st.none() | st.floats(0, 100),
    final_here=st.booleans(),
    timed_out=st.booleans(),
)
POLICIES = st.builds(
    Policy,
    tries_per_deployment=st.integers(1, 4),
    tries_total=st.integers(1, 10),
    patience_s=st.floats(0.1, 120),
    longest_wait_s=st.floats(0, 30),
    backoff_s=st.floats(0.01, 2),
)


@given(POLICIES, st.integers(1, 5), st.lists(st.tuples(FAILURES, st.floats(0, 40)), min_size=40, max_size=40))
def test_no_sequence_of_failures_goes_beyond_the_bounds(policy, candidates, failures):
    """A whole call played through: places in order, each attempt takes its time and fails."""
    at, tries_here, now_s, waits = 0, 0, 0.0, []
    for tries, (failure, took_s) in enumerate(failures, 1):
        assert now_s <= policy.patience_s, "no attempt starts after patience is gone"
        tries_here += 1
        assert tries <= policy.tries_total
        assert tries_here <= policy.tries_per_deployment
        now_s += took_s
        following = after_failure(
            failure,
            policy=policy,
            tries_here=tries_here,
            tries=tries,
            more=at + 1 < candidates,
            elapsed_s=now_s,
        )
        if following.action == "stop":
            break
        if following.action == "elsewhere":
            at, tries_here = at + 1, 0
            assert at < candidates
            assert following.wait_s == 0
        else:
            assert 0 <= following.wait_s <= policy.longest_wait_s
            now_s += following.wait_s
            waits.append(following.wait_s)
    else:
        pytest.fail("it never stopped")
    assert sum(waits) <= policy.patience_s
