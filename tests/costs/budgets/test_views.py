"""Budgets as people see them."""

from __future__ import annotations

from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.views import BudgetView, views
from tests.costs.budgets.budgeting import ANNA, BERT, CENT, DAY, HOUR, T0, USD, held, rules

MIDNIGHT = T0 - T0 % DAY


def seen(book: BudgetBook, now_ms: int) -> tuple[BudgetView, ...]:
    return views(book.rules, book.accounts(), now_ms)


def test_a_budget_shows_what_is_spent_held_and_left_and_when_it_begins_again() -> None:
    book = BudgetBook(rules({"scope": "agent:anna", "limit_usd": 1, "window": "day", "on_limit": "degrade"}))
    book.settle(held(book.hold(ANNA, 30 * CENT, MIDNIGHT, "c1")), 20 * CENT, MIDNIGHT)
    book.expire(held(book.hold(ANNA, 5 * CENT, MIDNIGHT, "c2")), MIDNIGHT)
    held(book.hold(ANNA, 10 * CENT, MIDNIGHT, "c3"))
    (view,) = seen(book, MIDNIGHT + 6 * HOUR)
    assert view == BudgetView(
        budget="agent:anna per day",
        label="agent:anna per day",
        scope="agent",
        subject="anna",
        window="day",
        hard=True,
        on_limit="degrade",
        limit_nanos=USD,
        spent_nanos=20 * CENT,
        expired_nanos=5 * CENT,
        held_nanos=10 * CENT,
        lent_nanos=0,
        left_nanos=65 * CENT,
        starts_ms=MIDNIGHT,
        resets_ms=MIDNIGHT + DAY,
        used_up_ms=None,
    )


def test_a_pace_that_is_too_fast_says_when_the_end_comes() -> None:
    book = BudgetBook(rules({"scope": "all", "limit_usd": 1, "window": "day"}))
    book.settle(held(book.hold(ANNA, 50 * CENT, MIDNIGHT, "c1")), 50 * CENT, MIDNIGHT)
    assert seen(book, MIDNIGHT + 6 * HOUR)[0].used_up_ms == MIDNIGHT + 12 * HOUR
    assert seen(book, MIDNIGHT + 12 * HOUR)[0].used_up_ms is None
    assert seen(book, MIDNIGHT + 60_000)[0].used_up_ms is None
    book.settle(held(book.hold(ANNA, 50 * CENT, MIDNIGHT, "c1")), 50 * CENT, MIDNIGHT)
    assert seen(book, MIDNIGHT + HOUR)[0].used_up_ms == MIDNIGHT + HOUR


def test_a_total_and_a_rolling_window_have_a_pace_too() -> None:
    book = BudgetBook(
        rules(
            {"scope": "all", "limit_usd": 1, "window": "total"},
            {"scope": "agent:*", "limit_usd": 1, "window": "24h"},
        )
    )
    book.settle(held(book.hold(ANNA, 60 * CENT, T0, "c1")), 60 * CENT, T0)
    total, rolling = seen(book, T0 + 12 * HOUR)
    assert (total.used_up_ms, rolling.used_up_ms) == (None, T0 + 12 * HOUR + 16 * HOUR)
    total, rolling = seen(book, T0 + 3 * DAY)
    assert (total.used_up_ms, total.resets_ms) == (T0 + 5 * DAY, None)
    assert (rolling.spent_nanos, rolling.used_up_ms) == (0, None)


def test_each_one_has_a_row_the_largest_first_and_where_nobody_has_spent_one_says_so() -> None:
    book = BudgetBook(rules({"scope": "agent:*", "limit_usd": 1, "window": "day"}))
    assert [view.budget for view in seen(book, T0)] == ["agent:* per day"]
    held(book.hold(ANNA, CENT, T0, "c1"))
    book.settle(held(book.hold(BERT, 5 * CENT, T0, "c2")), 5 * CENT, T0)
    assert [view.budget for view in seen(book, T0)] == ["agent:bert per day", "agent:anna per day"]
    assert [view.subject for view in seen(book, T0 + DAY)] == ["*"]
