"""Calls that wait a little instead of being refused with money left."""

from __future__ import annotations

from freehold.costs.budgets.answers import Denial, Hold
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.queue import BudgetQueue, Waiting
from tests.costs.budgets.budgeting import ANNA, BERT, CENT, T0, USD, held, in_balance, rules

ALL = {"scope": "all", "limit_usd": 1, "window": "total"}


class Calls:
    """What those who waited were told."""

    def __init__(self, *budgets: dict[str, object], waiting: int = 100) -> None:
        self.book = BudgetBook(rules(*budgets))
        self.queue = BudgetQueue(self.book, waiting=waiting, patience_ms=10_000)
        self.told: dict[str, Hold | Denial] = {}

    def ask(self, name: str, cents: int, who: object = ANNA, at_ms: int = T0) -> Hold | Denial | Waiting:
        assert who in (ANNA, BERT)
        payer = ANNA if who is ANNA else BERT
        return self.queue.hold(payer, cents * CENT, at_ms, name, lambda answer: self.tell(name, answer))

    def tell(self, name: str, answer: Hold | Denial) -> None:
        assert name not in self.told
        self.told[name] = answer


def waits(answer: Hold | Denial | Waiting) -> Waiting:
    assert isinstance(answer, Waiting)
    return answer


def test_a_call_waits_for_what_another_gives_back() -> None:
    calls = Calls(ALL)
    first = calls.ask("a", 90)
    assert isinstance(first, Hold)
    waits(calls.ask("b", 50))
    calls.book.settle(first, 10 * CENT, T0)
    assert isinstance(calls.told["b"], Hold)
    assert (calls.queue.waiting, calls.book.freed) == (0, None)


def test_a_call_that_can_never_fit_does_not_wait_and_one_that_no_longer_can_is_told_at_once() -> None:
    calls = Calls(ALL)
    assert isinstance(calls.ask("a", 101), Denial)
    first = calls.ask("b", 90)
    assert isinstance(first, Hold)
    waits(calls.ask("c", 50))
    calls.book.settle(first, 80 * CENT, T0)
    assert isinstance(calls.told["c"], Denial)


def test_first_come_first_served_but_a_smaller_call_may_pass_one_that_does_not_fit_yet() -> None:
    calls = Calls(ALL)
    one, other = calls.ask("a", 50), calls.ask("b", 50)
    assert isinstance(one, Hold)
    assert isinstance(other, Hold)
    for name, cents in (("large", 80), ("small", 20), ("next", 20), ("last", 20)):
        waits(calls.ask(name, cents))
    calls.book.release(one)
    assert list(calls.told) == ["small", "next"]
    assert calls.queue.waiting == 2


def test_a_clock_that_is_set_back_keeps_nobody_waiting() -> None:
    calls = Calls(ALL)
    calls.ask("a", 90)
    waits(calls.ask("b", 50))
    calls.queue.tick(T0 - 3_600_000)
    assert isinstance(calls.told["b"], Denial)


def test_nobody_waits_for_longer_than_it_may_and_who_leaves_is_not_told() -> None:
    calls = Calls(ALL)
    first = calls.ask("a", 90)
    assert isinstance(first, Hold)
    waits(calls.ask("b", 50))
    leaving = waits(calls.ask("c", 50))
    calls.queue.cancel(leaving)
    calls.queue.cancel(leaving)
    calls.queue.tick(T0 + 9_999)
    assert calls.told == {}
    calls.queue.tick(T0 + 10_000)
    assert isinstance(calls.told["b"], Denial)
    calls.book.release(first)
    assert list(calls.told) == ["b"]


def test_the_queue_has_an_end() -> None:
    calls = Calls(ALL, waiting=2)
    calls.ask("a", 90)
    answers = [calls.ask(f"b{n}", 50) for n in range(3)]
    assert [type(answer) for answer in answers] == [Waiting, Waiting, Denial]


def test_a_call_that_waits_for_one_budget_and_then_another_gets_there() -> None:
    calls = Calls(ALL, {"scope": "agent:*", "limit_usd": 0.6, "window": "total"})
    bert, anna = calls.ask("a", 60, BERT), calls.ask("b", 40, ANNA)
    assert isinstance(bert, Hold)
    assert isinstance(anna, Hold)
    waits(calls.ask("c", 50, ANNA))
    calls.book.release(bert)
    assert calls.told == {}
    calls.book.release(anna)
    assert isinstance(calls.told["c"], Hold)


def test_a_long_chain_of_calls_that_end_at_once_does_not_nest() -> None:
    book = BudgetBook(rules(ALL))
    queue = BudgetQueue(book, waiting=10_000)
    ended: list[int] = []

    def end(answer: Hold | Denial) -> None:
        ended.append(1)
        book.release(held(answer))

    first = held(book.hold(ANNA, USD, T0, "first"))
    for number in range(5_000):
        waits(queue.hold(ANNA, USD, T0, f"c{number}", end))
    book.release(first)
    assert len(ended) == 5_000
    in_balance(book)


def test_patience_is_counted_from_when_the_wait_began_and_not_from_the_call_s_start() -> None:
    calls = Calls(ALL)
    calls.ask("a", 90)
    waits(calls.queue.hold(ANNA, 50 * CENT, T0, "b", lambda answer: calls.tell("b", answer), T0 + 30_000))
    calls.queue.tick(T0 + 39_999)
    assert calls.told == {}
    calls.queue.tick(T0 + 40_000)
    assert isinstance(calls.told["b"], Denial)
