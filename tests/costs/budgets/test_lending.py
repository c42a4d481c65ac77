"""One task's money for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import text

from freehold.costs.budgets.accounts import FREE, LENT, Account
from freehold.costs.budgets.answers import named, subject_in
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.lending import LendingError
from freehold.costs.budgets.postings import standing_of
from freehold.costs.budgets.scopes import Payer
from tests.costs.budgets.budgeting import (
    ANNA,
    CENT,
    DAY,
    T0,
    USD,
    denied,
    held,
    in_balance,
    rules,
    written,
)

TASKS = "task:* per day"
BUDGETS = (
    {"scope": "task:*", "limit_usd": 1, "window": "day"},
    {"scope": "all", "limit_usd": 5, "window": "day"},
)
CHILD = Payer(task="child")


def tasks(book: BudgetBook, *names: str) -> list[Account]:
    return [book.account(TASKS, name, T0) for name in names]


def test_what_a_parent_lends_its_child_may_spend_and_the_parent_may_not() -> None:
    book, _ = written(*BUDGETS)
    parent, child = tasks(book, "t1", "child")
    book.lend(parent, child, 40 * CENT, T0)
    denied(book.hold(ANNA, 61 * CENT, T0, "c1"))
    hold = held(book.hold(CHILD, 140 * CENT, T0, "c2"))
    assert (parent.granted, child.granted) == (60 * CENT, 140 * CENT)
    book.settle(hold, 120 * CENT, T0)
    assert book.give_back(parent, child, T0) == 20 * CENT
    assert parent.balances[FREE] == 80 * CENT
    assert parent.balances[LENT] == 20 * CENT
    assert book.give_back(parent, child, T0) == 0
    in_balance(book)


def test_only_what_was_lent_comes_back() -> None:
    book, _ = written(*BUDGETS)
    parent, child = tasks(book, "t1", "child")
    book.lend(parent, child, 40 * CENT, T0)
    assert book.give_back(parent, child, T0) == 40 * CENT
    assert (parent.granted, child.granted) == (USD, USD)
    assert book.give_back(child, parent, T0) == 0


def test_a_loan_that_would_be_counted_twice_or_is_not_there_is_not_made() -> None:
    book, paper = written(*BUDGETS)
    parent, child = tasks(book, "t1", "child")
    everyone = book.account("all per day", "", T0)
    for giver, taker, nanos, why in (
        (everyone, child, CENT, "counted twice"),
        (parent, parent, CENT, "itself"),
        (parent, child, 101 * CENT, "1.00 USD free, not 1.01"),
        (parent, child, 0, "more than nothing"),
    ):
        with pytest.raises(LendingError, match=why):
            book.lend(giver, taker, nanos, T0)
    paper.full = True
    with pytest.raises(OSError, match="space"):
        book.lend(parent, child, CENT, T0)
    assert (parent.granted, child.granted) == (USD, USD)


def test_a_person_may_grant_more_and_a_waiting_call_then_fits() -> None:
    book, _ = written({"scope": "all", "limit_usd": 1, "on_limit": "ask"})
    denied(book.hold(ANNA, 2 * USD, T0, "c1"))
    (account,) = book.accounts()
    book.grant(account, USD, T0)
    held(book.hold(ANNA, 2 * USD, T0, "c1"))
    in_balance(book)


def test_loans_are_there_again_after_a_start_while_their_windows_last() -> None:
    book, paper = written(*BUDGETS)
    parent, child = tasks(book, "t1", "child")
    book.lend(parent, child, 40 * CENT, T0)
    book.grant(book.account("all per day", "", T0), USD, T0)
    again = BudgetBook(rules(*BUDGETS))
    for posting in standing_of(paper.segments).moved:
        again.moved(posting)
    assert [each.granted for each in tasks(again, "t1", "child")] == [60 * CENT, 140 * CENT]
    assert again.account("all per day", "", T0).granted == 6 * USD
    assert again.account(TASKS, "child", T0 + DAY).granted == USD
    again.tick(T0 + 2 * DAY)
    assert b"move" not in again.opening()


def test_a_loan_of_which_one_budget_is_gone_still_binds_the_other() -> None:
    book, paper = written(*BUDGETS)
    book.lend(*tasks(book, "t1", "child"), 40 * CENT, T0)
    less = BudgetBook(rules(BUDGETS[1]))
    for posting in standing_of(paper.segments).moved:
        less.moved(posting)
    assert less.account("all per day", "", T0).granted == 5 * USD


def test_a_grant_to_a_window_that_rolls_ends_when_it_is_as_old_as_the_window() -> None:
    budget = {"scope": "all", "limit_usd": 1, "window": "24h", "on_limit": "ask"}
    book, paper = written(budget)
    book.grant(book.account("all per 24h", "", T0), USD, T0)
    again = BudgetBook(rules(budget))
    again.write_to(paper)
    paper.follow(book.opening())
    for posting in standing_of(paper.segments).moved:
        again.moved(posting)
    again.tick(T0 + DAY - 1)
    assert again.account("all per 24h", "", T0).granted == 2 * USD
    again.tick(T0 + DAY + 60_000)
    assert again.account("all per 24h", "", T0).granted == USD
    in_balance(again)


def test_whoever_can_allow_more_is_told_how_and_told_again_after_the_next_time() -> None:
    book, _ = written({"scope": "agent:*", "limit_usd": 1, "window": "day", "on_limit": "ask"})
    who, name = Payer(agent="it's me"), "agent:it's me per day"
    refused = denied(book.hold(who, 2 * USD, T0, "c1"))
    command = """freehold budgets grant 'agent:it'"'"'s me per day' USD"""
    assert refused.message.endswith("Whoever runs Freehold may allow more, and was told so.")
    assert [event.text.endswith(f"to allow more: {command}") for event in refused.told(T0)] == [True]
    assert not denied(book.hold(who, 2 * USD, T0, "c2")).told(T0)
    assert subject_in("agent:* per day", name) == "it's me"
    book.grant(book.account("agent:* per day", "it's me", T0), USD, T0)
    book.settle(held(book.hold(who, 2 * USD, T0, "c3")), 2 * USD, T0)
    assert denied(book.hold(who, 2 * USD, T0, "c4")).told(T0)


@given(text(max_size=12))
def test_the_name_of_an_account_leads_back_to_it(subject: str) -> None:
    if subject in ("(none)", "*"):  # these stand for somebody else
        return
    assert subject_in("task:* per day", named("task:* per day", subject)) == subject
    assert subject_in("all per day", named("all per day", "")) == ""
    assert subject_in("task:* per day", f"agent:{subject} per day") is None
