"""What may follow what, and what a death leads to: tables of inputs and outputs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.servers import ServerState as S
from freehold.supervisor.lifecycle import (
    ALIVE,
    MOVES,
    WAITED_FOR,
    Death,
    GiveUp,
    IllegalMoveError,
    RestartPolicy,
    Retry,
    after_death,
    check_move,
    describe,
    exit_words,
    telling_lines,
)

POLICY = RestartPolicy(tries=4, tries_unready=2, first_delay_s=1.0, longest_delay_s=3.0, forgive_after_s=60.0)
CRASH = Death(exit_code=-11, was_ready=True, ready_s=5.0)
REFUSAL = Death(exit_code=1, was_ready=False, last_lines=("no such model",))


def test_every_state_has_its_moves_and_none_leads_to_itself() -> None:
    assert set(MOVES) == set(S)
    assert all(state not in following for state, following in MOVES.items())


def test_every_state_can_be_stopped_and_started_again() -> None:
    for start, goal in itertools.product(S, (S.STOPPED, S.READY)):
        reached, frontier = {start}, {start}
        while frontier:
            frontier = {after for state in frontier for after in MOVES[state]} - reached
            reached |= frontier
        assert goal in reached, f"{start} never reaches {goal}"


@pytest.mark.parametrize(
    ("current", "wanted"),
    [(S.STOPPED, S.READY), (S.FAILED, S.READY), (S.STOPPING, S.READY), (S.READY, S.LOADING)],
)
def test_a_forbidden_move_is_a_fault_that_names_both_states(current: S, wanted: S) -> None:
    with pytest.raises(IllegalMoveError, match=f"{current} to {wanted}"):
        check_move(current, wanted)


def test_nobody_waits_for_a_state_without_a_way_to_ready() -> None:
    assert S.FAILED not in WAITED_FOR
    assert S.STOPPED not in WAITED_FOR
    assert S.STOPPING not in WAITED_FOR
    assert S.BACKOFF not in ALIVE


@pytest.mark.parametrize(
    ("deaths", "expected"),
    [
        pytest.param([CRASH], Retry(1.0), id="first crash: again after the first delay"),
        pytest.param([CRASH, CRASH], Retry(2.0), id="second: twice as long"),
        pytest.param([CRASH] * 3, Retry(3.0), id="third: no longer than the longest"),
        pytest.param(
            [REFUSAL], Retry(1.0), id="a refusal gets a second chance (the port may have been taken)"
        ),
        pytest.param([CRASH, REFUSAL], Retry(2.0), id="refusals are counted apart from crashes"),
        pytest.param([REFUSAL, CRASH, REFUSAL], Retry(3.0), id="and only in a row"),
        pytest.param(
            [CRASH, CRASH, CRASH, Death(exit_code=-9, was_ready=True, ready_s=61.0)],
            Retry(1.0),
            id="a long healthy time forgives what was before",
        ),
        pytest.param(
            [Death(exit_code=-9, was_ready=False), Death(exit_code=-9, was_ready=False)],
            Retry(2.0),
            id="killed while loading is no refusal",
        ),
    ],
)
def test_what_a_death_leads_to(deaths: list[Death], expected: Retry) -> None:
    assert after_death(deaths, POLICY) == expected


def test_a_model_that_cannot_load_is_given_up_after_two_refusals_with_its_own_words() -> None:
    step = after_death([REFUSAL, REFUSAL], POLICY)
    assert step == GiveUp(
        "Ended with exit code 1 before it was ready. Its last words: no such model. Tried 2 times."
    )


def test_a_server_that_keeps_crashing_is_given_up_with_the_signal() -> None:
    step = after_death([CRASH] * 4, POLICY)
    assert isinstance(step, GiveUp)
    assert "signal SIGSEGV (11) after it was ready" in step.reason
    assert "4 times in a row" in step.reason


@given(
    st.lists(
        st.builds(
            Death,
            exit_code=st.integers(-64, 255),
            was_ready=st.booleans(),
            ready_s=st.floats(0, 59, allow_nan=False),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_delays_are_bounded_and_starting_ends_some_day(deaths: list[Death]) -> None:
    step = after_death(deaths, POLICY)
    if len(deaths) >= POLICY.tries:
        assert isinstance(step, GiveUp)
    if isinstance(step, Retry):
        assert 0 < step.delay_s <= POLICY.longest_delay_s


def test_the_lines_with_errors_tell_more_than_the_last_ones() -> None:
    lines = [
        "0.00.001.9 I srv init: loading model",
        "0.00.004.7 E gguf_init: failed to read key-value pairs",
        "0.00.004.9 E llama_model_load: error loading model",
        "0.00.005.0 I srv: cleaning up before exit...",
    ]
    assert telling_lines(lines) == [
        "gguf_init: failed to read key-value pairs",
        "llama_model_load: error loading model",
    ]
    assert telling_lines(["one", "two", "three"]) == ["two", "three"]


def test_a_silent_death_is_said_to_be_silent() -> None:
    assert describe(Death(exit_code=-1, was_ready=True)) == (
        "Ended with signal SIGHUP (1) after it was ready. It said nothing."
    )


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (-9, "signal SIGKILL (9)"), (-250, "signal unknown (250)")]
)
def test_exit_codes_in_words(code: int, words: str) -> None:
    assert exit_words(code) == words
