"""What may follow what, and what a death leads to: tables of inputs and outputs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.servers import RestartRules
from freehold.core.servers import ServerState as S
from freehold.supervisor.lifecycle import (
    MOVES,
    WAITED_FOR,
    Death,
    GiveUp,
    IllegalMoveError,
    Retry,
    after_death,
    check_move,
    recent,
)

RULES = RestartRules(tries=4, interval_s=60.0, tries_unready=2, first_delay_s=1.0, longest_delay_s=3.0)


def crash(at_s: float = 0.0) -> Death:
    return Death(at_s=at_s, was_ready=True, sentence="It crashed.")


def refusal(at_s: float = 0.0, *, by_itself: bool = True) -> Death:
    return Death(at_s=at_s, was_ready=False, by_itself=by_itself, sentence="No such model.")


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


@pytest.mark.parametrize(
    ("deaths", "expected"),
    [
        pytest.param([crash()], Retry(1.0), id="first crash: again after the first delay"),
        pytest.param([crash(0), crash(1)], Retry(2.0), id="second: twice as long"),
        pytest.param([crash(0), crash(1), crash(2)], Retry(3.0), id="third: no longer than the longest"),
        pytest.param([refusal()], Retry(1.0), id="a refusal gets a second chance: its port may be taken"),
        pytest.param([crash(0), refusal(1)], Retry(2.0), id="refusals are counted apart from crashes"),
        pytest.param([refusal(0), crash(1), refusal(2)], Retry(3.0), id="and only in a row"),
        pytest.param(
            [crash(0), crash(1), crash(2), crash(63)],
            Retry(1.0),
            id="what lies before the interval is forgiven",
        ),
        pytest.param(
            [refusal(0, by_itself=False), refusal(1, by_itself=False)],
            Retry(2.0),
            id="killed by somebody while loading is no refusal",
        ),
    ],
)
def test_what_a_death_leads_to(deaths: list[Death], expected: Retry) -> None:
    assert after_death(deaths, RULES, 0.0) == expected


def test_a_model_that_cannot_load_is_given_up_after_two_refusals_with_its_reason() -> None:
    step = after_death([refusal(0), refusal(1)], RULES, 0.0)
    assert step == GiveUp("No such model. Tried 2 times without becoming ready.")


def test_a_server_that_keeps_crashing_is_given_up_with_its_reason() -> None:
    step = after_death([crash(n) for n in range(4)], RULES, 0.0)
    assert step == GiveUp("It crashed. Died 4 times within 60 s.")


def test_chance_lengthens_the_delay_by_its_share_so_that_servers_do_not_come_back_together() -> None:
    assert after_death([crash()], RULES, 1.0) == Retry(1.2)
    assert after_death([crash()], RULES, 0.5) == Retry(1.1)


@given(
    st.lists(
        st.builds(
            Death, at_s=st.floats(0, 1000, allow_nan=False), was_ready=st.booleans(), by_itself=st.booleans()
        ),
        min_size=1,
        max_size=30,
    ),
    st.floats(0, 1, allow_nan=False),
)
def test_delays_are_bounded_and_starting_ends_some_day(deaths: list[Death], chance: float) -> None:
    deaths.sort(key=lambda death: death.at_s)
    step = after_death(deaths, RULES, chance)
    if len(recent(deaths, RULES)) >= RULES.tries:
        assert isinstance(step, GiveUp)
    if isinstance(step, Retry):
        assert RULES.first_delay_s <= step.delay_s <= RULES.longest_delay_s * (1 + RULES.jitter)
