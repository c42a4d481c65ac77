"""The book of budgets, told as stories of calls."""

from __future__ import annotations

import pytest

from freehold.costs.budgets.accounts import EXPIRED, FREE, HELD, SPENT
from freehold.costs.budgets.answers import Ask, Degrade, Denial, refusal
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.scopes import Payer
from tests.costs.budgets.budgeting import (
    ANNA,
    BERT,
    CENT,
    DAY,
    HOUR,
    MINUTE,
    T0,
    USD,
    denied,
    held,
    in_balance,
    only,
    rules,
    written,
)


def test_the_worst_case_is_held_and_what_was_not_needed_comes_back() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1}))
    hold = held(book.hold(ANNA, 40 * CENT, T0, "c1"))
    assert only(book).balances == [-USD, 60 * CENT, 40 * CENT, 0, 0, 0]
    book.settle(hold, 7 * CENT, T0)
    assert only(book).balances == [-USD, 93 * CENT, 0, 7 * CENT, 0, 0]


def test_a_call_that_was_not_sent_costs_nothing_and_nothing_happens_twice() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1}))
    hold = held(book.hold(ANNA, 40 * CENT, T0, "c1"))
    book.release(hold)
    book.release(hold)
    assert book.settle(hold, 5 * CENT, T0) == ()
    assert book.expire(hold, T0) == ()
    assert only(book).balances == [-USD, USD, 0, 0, 0, 0]


def test_checks_of_many_calls_do_not_see_the_same_money_twice() -> None:
    """Peers check what is spent, then spend: N calls at once pass a cap N times (defect 11)."""
    book = BudgetBook(rules({"scope": "session:*", "limit_usd": 1}))
    answers = [book.hold(ANNA, 30 * CENT, T0, f"c{n}") for n in range(500)]
    assert sum(not isinstance(answer, Denial) for answer in answers) == 3
    newcomer = Payer(session="never seen before")
    assert sum(not isinstance(book.hold(newcomer, 30 * CENT, T0, "c"), Denial) for _ in range(500)) == 3
    in_balance(book)


def test_nothing_leaks_and_nothing_is_counted_twice_over_ten_thousand_calls() -> None:
    """Peers leaked reservations, so that calls were refused at 55 of 100 dollars (defect 13)."""
    book = BudgetBook(rules({"scope": "all", "limit_usd": 100}, {"scope": "agent:*", "limit_usd": 100}))
    for number in range(10_000):
        hold = held(book.hold(ANNA, 50 * CENT, T0, "c"))
        if number % 3:
            book.settle(hold, USD // 1000, T0)
        else:
            book.release(hold)
    assert {tuple(account.balances) for account in book.accounts()} == {
        (-100 * USD, 100 * USD - 6666 * USD // 1000, 0, 6666 * USD // 1000, 0, 0)
    }


def test_several_budgets_hold_all_together_or_not_at_all() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1}, {"scope": "project:site", "limit_usd": 0.2}))
    assert denied(book.hold(ANNA, 30 * CENT, T0, "c1")).budget == "project:site per month"
    assert [account.balances[HELD] for account in book.accounts()] == [0, 0]
    held(book.hold(Payer(project="other"), 30 * CENT, T0, "c2"))
    assert denied(book.hold(ANNA, 80 * CENT, T0, "c3")).left_nanos in (70 * CENT, 20 * CENT)


def test_each_one_has_the_limit_for_itself_and_those_without_a_name_share_one() -> None:
    book = BudgetBook(rules({"scope": "agent:*", "limit_usd": 1}))
    held(book.hold(ANNA, USD, T0, "c1"))
    held(book.hold(BERT, USD, T0, "c2"))
    held(book.hold(Payer(project="a"), USD, T0, "c3"))
    assert denied(book.hold(Payer(project="b"), 1, T0, "c4")).message.startswith(
        "the budget agent:(none) per"
    )


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        ("all", True),
        ("provider:openai", True),
        ("provider:groq", False),
        ("model:gpt-5", True),
        ("model:openai/gpt-5", True),
        ("model:groq/gpt-5", False),
        ("model:*", True),
        ("project:site", True),
        ("agent:bert", False),
        ("session:s1", True),
        ("task:t1", True),
        ("key:k1", True),
        ("key:k2", False),
    ],
)
def test_a_budget_is_for_calls_in_its_scope_only(scope: str, fits: bool) -> None:
    book = BudgetBook(rules({"scope": scope, "limit_usd": 1}))
    assert isinstance(book.hold(ANNA, 2 * USD, T0, "c"), Denial) is fits


def test_a_call_that_costs_nothing_passes_also_when_all_is_spent() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 0}))
    hold = held(book.hold(ANNA, 0, T0, "c1"))
    assert book.settle(hold, 0, T0) == ()
    denied(book.hold(ANNA, 1, T0, "c2"))


def test_what_was_free_and_is_billed_all_the_same_counts() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1}))
    book.settle(held(book.hold(ANNA, 0, T0, "c1")), 5 * CENT, T0)
    assert only(book).balances[SPENT] == 5 * CENT


def test_a_provider_that_charges_more_than_its_prices_is_posted_flagged_and_seen_by_the_next() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "notify": []}))
    hold = held(book.hold(ANNA, 90 * CENT, T0, "c1"))
    (event,) = book.settle(hold, 150 * CENT, T0)
    assert event.kind == "overrun"
    assert only(book).balances == [-USD, -50 * CENT, 0, 150 * CENT, 0, 0]
    denied(book.hold(ANNA, 1, T0, "c2"))


# -- what is said


def test_a_denial_says_which_budget_how_it_stands_and_when_it_begins_again() -> None:
    book = BudgetBook(
        rules({"scope": "agent:*", "limit_usd": 5, "window": "day", "time_zone": "Europe/Vienna"})
    )
    book.settle(held(book.hold(ANNA, 5 * USD, T0, "c1")), 4_880_000_000, T0)
    denial = denied(book.hold(ANNA, 40 * CENT, T0, "c2"))
    error = refusal(denial, T0)
    assert error.message == (
        "the budget agent:anna per day has 0.12 of 5.00 USD left; this call could cost 0.40. "
        "There is room for it at 2026-05-28 22:00 UTC."
    )
    assert (error.status, error.code, error.retry_after_s) == (429, "budget_exhausted", 5600.0)


def test_what_others_only_hold_may_come_back_in_a_moment() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "total"}))
    held(book.hold(ANNA, 90 * CENT, T0, "c1"))
    denial = denied(book.hold(ANNA, 20 * CENT, T0, "c2"))
    assert denial.may_free_up
    assert denial.retry_after_s(T0) == 1
    assert denial.told(T0) == ()


def test_a_budget_that_is_used_up_says_so() -> None:
    soft = {"scope": "all", "limit_usd": 1, "window": "total", "hard": False, "on_limit": "refuse"}
    book = BudgetBook(rules(soft))
    book.settle(held(book.hold(ANNA, 120 * CENT, T0, "c1")), 120 * CENT, T0)
    denial = denied(book.hold(ANNA, 20 * CENT, T0, "c2"))
    assert denial.message == "the budget all in total is used up, 1.20 of 1.00 USD. Somebody has to raise it."


def test_what_never_fits_is_a_matter_for_a_purse() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "day"}))
    denial = denied(book.hold(ANNA, 2 * USD, T0, "c1"))
    assert (denial.may_free_up, denial.may_free_up_at) == (False, None)
    assert refusal(denial, T0).status == 402


def test_of_several_budgets_without_room_the_one_that_says_no_longest_is_named() -> None:
    book = BudgetBook(
        rules(
            {"scope": "agent:*", "limit_usd": 1, "window": "hour"},
            {"scope": "project:*", "limit_usd": 1, "window": "month"},
            {"scope": "all", "limit_usd": 1, "window": "day"},
        )
    )
    book.settle(held(book.hold(ANNA, USD, T0, "c1")), USD, T0)
    assert denied(book.hold(ANNA, CENT, T0, "c2")).budget == "project:* per month"


def test_an_unknown_price_is_refused_under_a_hard_budget() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1}))
    error = refusal(denied(book.hold(ANNA, None, T0, "c1")), T0)
    assert error.code == "budget_price_unknown"
    assert error.message.startswith("openai/gpt-5 has no known price, and the budget all per month is never")
    watched = BudgetBook(rules({"scope": "all", "limit_usd": 1, "hard": False}))
    held(watched.hold(ANNA, None, T0, "c1"))


def test_an_unknown_price_counts_as_its_ceiling_until_somebody_knows_better() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "ceiling_usd_per_call": 0.3}))
    first, second, third = (held(book.hold(ANNA, None, T0, f"c{n}")) for n in range(3))
    denied(book.hold(ANNA, None, T0, "c4"))
    book.settle(first, None, T0)
    book.settle(second, 2 * CENT, T0)
    book.release(third)
    assert only(book).balances == [-USD, 68 * CENT, 0, 2 * CENT, 30 * CENT, 0]


def test_ceilings_of_several_budgets_the_dearest_counts_and_all_must_have_one() -> None:
    both = {"scope": "all", "limit_usd": 1, "ceiling_usd_per_call": 0.3}
    more = {"scope": "agent:*", "limit_usd": 1, "ceiling_usd_per_call": 0.4}
    assert held(BudgetBook(rules(both, more)).hold(ANNA, None, T0, "c")).nanos == 40 * CENT
    less = {"scope": "agent:*", "limit_usd": 1}
    assert denied(BudgetBook(rules(both, less)).hold(ANNA, None, T0, "c")).budget == "agent:* per month"


def test_a_budget_may_ask_for_a_cheaper_tier_or_a_person() -> None:
    for action, kind in (("degrade", Degrade), ("ask", Ask), ("refuse", Denial)):
        book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "on_limit": action}))
        assert type(book.hold(ANNA, 2 * USD, T0, "c")) is kind
    mixed = BudgetBook(
        rules({"scope": "all", "limit_usd": 1, "on_limit": "degrade"}, {"scope": "agent:*", "limit_usd": 1})
    )
    assert type(mixed.hold(ANNA, 2 * USD, T0, "c")) is Denial


def test_a_watched_budget_lets_everything_pass_or_acts_once_its_limit_is_spent() -> None:
    watched = BudgetBook(rules({"scope": "all", "limit_usd": 1, "hard": False}))
    for number in range(5):
        watched.settle(held(watched.hold(ANNA, USD, T0, f"c{number}")), USD, T0)
    acting = BudgetBook(rules({"scope": "all", "limit_usd": 1, "hard": False, "on_limit": "degrade"}))
    holds = [held(acting.hold(ANNA, 3 * USD, T0, f"c{number}")) for number in range(3)]
    acting.settle(holds[0], 99 * CENT, T0)
    acting.settle(held(acting.hold(ANNA, CENT, T0, "c4")), CENT, T0)
    assert isinstance(acting.hold(ANNA, CENT, T0, "c5"), Degrade)


# -- time


def test_a_new_window_begins_with_nothing_spent_and_late_ends_count_where_the_call_began() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "day"}))
    midnight = T0 - T0 % DAY + DAY
    hold = held(book.hold(ANNA, USD, midnight - 1, "c1"))
    fresh = held(book.hold(ANNA, USD, midnight, "c2"))
    book.settle(hold, 60 * CENT, midnight + HOUR)
    book.settle(fresh, 10 * CENT, midnight + HOUR)
    spent = {account.span.end_ms == midnight: account.balances[SPENT] for account in book.accounts()}
    assert spent == {True: 60 * CENT, False: 10 * CENT}
    late = denied(book.hold(ANNA, 50 * CENT, midnight - 1, "c3"))
    assert late.left_nanos == 40 * CENT


def test_a_rolling_window_forgets_what_is_older_than_itself_and_nothing_younger() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "24h"}))
    book.settle(held(book.hold(ANNA, 60 * CENT, T0, "c1")), 60 * CENT, T0)
    book.settle(held(book.hold(ANNA, 40 * CENT, T0 + HOUR, "c2")), 40 * CENT, T0 + HOUR)
    denial = denied(book.hold(ANNA, 50 * CENT, T0 + DAY - 1, "c3"))
    assert denial.may_free_up_at is not None
    assert T0 + DAY <= denial.may_free_up_at <= T0 + DAY + 10 * MINUTE
    denied(book.hold(ANNA, 50 * CENT, denial.may_free_up_at - 1, "c4"))
    held(book.hold(ANNA, 50 * CENT, denial.may_free_up_at, "c5"))
    in_balance(book)


def test_marks_are_told_once_for_each_window() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "hour"}))

    def spend(cents: int, at_ms: int) -> list[int]:
        return [
            e.percent for e in book.settle(held(book.hold(ANNA, cents * CENT, at_ms)), cents * CENT, at_ms)
        ]

    assert [spend(cents, T0) for cents in (49, 1, 29, 1, 19, 1)] == [[], [50], [], [80], [], [100]]
    assert spend(85, T0 + HOUR) == [80], "the highest of several"
    rolling = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "60m"}))
    told: list[int] = []
    for minute in range(0, 240, 10):
        at_ms = T0 + minute * MINUTE
        events = rolling.settle(held(rolling.hold(ANNA, 8 * CENT, at_ms)), 8 * CENT, at_ms)
        told += [minute for event in events if event.percent == 50]
    assert told == [60, 120, 180]


def test_the_first_call_that_does_not_fit_is_told_once() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "day", "notify": []}))
    events = [denied(book.hold(ANNA, 2 * USD, T0 + n, "c")).told(T0 + n) for n in range(3)]
    assert [[event.kind for event in each] for each in events] == [["refused"], [], []]
    next_day = denied(book.hold(ANNA, 2 * USD, T0 + DAY, "c")).told(T0 + DAY)
    assert [event.kind for event in next_day] == ["refused"]


def test_a_call_that_never_fits_says_nothing_about_those_after_it() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "day", "notify": []}))
    (huge,) = denied(book.hold(ANNA, 5 * USD, T0, "c1")).told(T0)
    assert huge.text == "budget all per day: no room for a call of up to 5.00 USD, 0.00 of 1.00 USD is spent"
    assert not denied(book.hold(ANNA, 5 * USD, T0, "c2")).told(T0)
    book.settle(held(book.hold(ANNA, 95 * CENT, T0, "c3")), 95 * CENT, T0)
    (full,) = denied(book.hold(ANNA, 6 * CENT, T0, "c4")).told(T0)
    assert full.text == "budget all per day: no room for a call of up to 0.060 USD, 0.95 of 1.00 USD is spent"
    assert not denied(book.hold(ANNA, 6 * CENT, T0, "c5")).told(T0)


def test_a_denial_that_is_kept_to_oneself_does_not_spare_the_next_one_from_being_told() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "day", "notify": []}))
    denied(book.hold(ANNA, 2 * USD, T0, "c"))
    (event,) = denied(book.hold(ANNA, 2 * USD, T0, "c")).told(T0)
    assert event.kind == "refused"


def test_windows_that_are_over_are_forgotten_and_open_ones_kept() -> None:
    book = BudgetBook(rules({"scope": "agent:*", "limit_usd": 1, "window": "hour"}))
    hold = held(book.hold(ANNA, CENT, T0, "c1"))
    book.settle(held(book.hold(BERT, CENT, T0, "c2")), CENT, T0)
    for number in range(100):
        book.release(held(book.hold(Payer(agent=f"passing {number}"), CENT, T0, "c")))
    book.tick(T0)
    assert {account.subject for account in book.accounts()} == {"anna", "bert"}
    book.tick(T0 + 4 * HOUR)
    assert only(book).subject == "anna"
    book.settle(hold, CENT, T0 + 4 * HOUR)
    book.tick(T0 + 5 * HOUR)
    assert list(book.accounts()) == []


# -- what is written


def test_a_hold_under_a_hard_budget_is_written_before_its_call_and_others_are_not() -> None:
    book, paper = written(
        {"scope": "agent:anna", "limit_usd": 1}, {"scope": "all", "limit_usd": 1, "hard": False}
    )
    held(book.hold(BERT, CENT, T0, "c1"))
    assert paper.writes == 0
    held(book.hold(ANNA, CENT, T0, "c2"))
    assert paper.writes == 1
    assert b'"key":"c2/2"' in paper.segments[-1][-1]


def test_where_nothing_can_be_written_no_call_is_sent_and_nothing_is_held() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    paper.full = True
    error = refusal(denied(book.hold(ANNA, CENT, T0, "c1")), T0)
    assert (error.status, error.code) == (503, "budget_unavailable")
    assert only(book).balances == [-USD, USD, 0, 0, 0, 0]
    paper.full = False
    held(book.hold(ANNA, CENT, T0, "c1"))


def test_what_has_ended_is_written_with_the_next_hold_which_may_use_its_money() -> None:
    book, paper = written({"scope": "all", "limit_usd": 1})
    book.release(held(book.hold(ANNA, USD, T0, "c1")))
    assert paper.writes == 1
    held(book.hold(ANNA, USD, T0, "c2"))
    assert paper.writes == 2
    assert [b'"release"' in line or b'"c2/2"' in line for line in paper.segments[-1][-2:]] == [True, True]


def test_expired_money_counts_for_good() -> None:
    book, _ = written({"scope": "all", "limit_usd": 1, "window": "hour"})
    book.expire(held(book.hold(ANNA, 30 * CENT, T0, "c1")), T0)
    assert only(book).balances[EXPIRED] == 30 * CENT
    assert only(book).balances[FREE] == 70 * CENT
    assert book.left(ANNA, T0) == 70 * CENT
    assert BudgetBook(()).left(ANNA, T0) is None


def test_what_has_left_a_window_that_rolls_blocks_nobody() -> None:
    book, _ = written({"scope": "all", "limit_usd": 1, "window": "5h"})
    book.settle(held(book.hold(ANNA, USD, T0)), USD, T0)
    assert book.blocked_by(ANNA, 1, T0 + HOUR) is not None
    assert book.blocked_by(ANNA, 1, T0 + 5 * HOUR + 10 * MINUTE) is None
