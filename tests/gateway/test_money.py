"""What is held for an attempt comes back, is spent, or is lost; and who waits for it may leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from freehold.core.config_budgets import BudgetConfig
from freehold.costs.book import PriceBook
from freehold.costs.budgets.accounts import EXPIRED, FREE, HELD, SPENT
from freehold.costs.budgets.answers import BudgetEvent
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.queue import BudgetQueue
from freehold.costs.budgets.rules import rules_of
from freehold.costs.overrides import RateOverride
from tests.gateway.calls import JSON, PATHS, WHOLE, asking, turns
from tests.gateway.rooms import House
from tests.gateway.wires import Transport

USD = 10**9
PRICE = RateOverride(input=0, output=1_000_000 * USD // 1000)
"""A thousandth of a dollar for each token of an answer."""


class Purse:
    """Budgets without a disk."""

    def __init__(self, limit_usd: float) -> None:
        self.book = BudgetBook(rules_of([BudgetConfig(scope="all", limit_usd=limit_usd, window="total")]))
        self.queue = BudgetQueue(self.book)
        self.told: list[BudgetEvent] = []

    def tell(self, events: Sequence[BudgetEvent]) -> None:
        self.told += events

    def usd(self, balance: int) -> float:
        return sum(account.balances[balance] for account in self.book.accounts()) / USD


def house_with(purse: Purse) -> House:
    house = House()
    house.gateway.budgets = purse
    house.gateway.prices = PriceBook.empty({"alpha/m": PRICE, "beta/m": PRICE})
    return house


def ask(house: House, model: str = "alpha/m", **headers: Any) -> None:
    house.ask(PATHS["chat"], asking("chat", model, stream=False), **headers)


async def test_a_whole_answer_spends_what_it_cost_and_the_rest_is_free_again() -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        ask(house)
        assert purse.usd(HELD) == pytest.approx(0.009), "nine tokens are allowed"
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, JSON)
        sent.say(json.dumps(WHOLE).encode())
        sent.complete()
        assert (purse.usd(HELD), purse.usd(SPENT)) == (0, 0.001)


async def test_an_attempt_that_was_never_heard_of_again_counts_in_full() -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        ask(house, "two")
        house.upstreams.sent[0].connect()
        (call,) = house.gateway.active
        call.expire()
        assert purse.usd(EXPIRED) == pytest.approx(0.009)
        assert purse.usd(HELD) == pytest.approx(0.009), "the next place has a hold of its own"


async def test_who_leaves_while_waiting_for_money_leaves_nothing_behind() -> None:
    purse = Purse(0.01)
    async with house_with(purse) as house:
        ask(house)
        (first,) = house.gateway.active
        second, kept = house.gateway.connection(), house.connection
        second.connection_made(Transport())
        house.connection = second
        ask(house)
        house.connection = kept
        assert purse.queue.waiting == 1
        second.connection_lost(None)
        assert purse.queue.waiting == 0
        first.client_gone()
        await turns()
        assert purse.usd(HELD) == 0
        assert purse.usd(FREE) + purse.usd(SPENT) == pytest.approx(0.01)
