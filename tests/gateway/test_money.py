"""What is held for an attempt comes back, is spent, or is lost; and who waits for it may leave."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from freehold.core.config_budgets import BudgetConfig
from freehold.costs.book import PriceBook
from freehold.costs.budgets.accounts import EXPIRED, FREE, HELD, SPENT
from freehold.costs.budgets.answers import BudgetEvent
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.queue import BudgetQueue
from freehold.costs.budgets.rules import rules_of
from freehold.costs.budgets.scopes import Payer
from freehold.costs.overrides import RateOverride
from freehold.costs.prices import ListedPrices
from freehold.costs.table import Clause, Model, Provider, Table, Terms
from tests.gateway.calls import JSON, PATHS, WHOLE, asking, turns, until
from tests.gateway.rooms import CATALOG, NOW_MS, Clock, House
from tests.gateway.wires import Transport

USD = 10**9
PRICE = RateOverride(input=0, output=1_000_000 * USD // 1000)
"""A thousandth of a dollar for each token of an answer."""
PAYER = Payer(provider="alpha", model="m")


class Purse:
    """Budgets without a disk."""

    def __init__(self, limit_usd: float, scope: str = "all", **more: Any) -> None:
        budget = BudgetConfig(scope=scope, limit_usd=limit_usd, window="total", **more)
        self.book = BudgetBook(rules_of([budget]))
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


def unlimited(house: House, model: str = "alpha/m", **more: Any) -> None:
    body = {key: value for key, value in asking("chat", model, stream=False).items() if key != "max_tokens"}
    house.ask(PATHS["chat"], body | more)


async def test_an_answer_without_a_limit_gets_the_one_that_can_be_paid() -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        unlimited(house)
        (sent,) = house.upstreams.sent
        assert json.loads(sent.body)["max_tokens"] == 1000
        assert purse.usd(HELD) == 1.0
        sent.connect()
        sent.begin(200, JSON)
        sent.say(json.dumps(WHOLE).encode())
        sent.complete()
        _, headers, _ = house.answer
        assert headers["x-freehold-output-limit"] == "1000"
        assert "limited to 1000 tokens by the budget" in headers["x-freehold-route"]
        assert purse.usd(SPENT) == 0.001


@pytest.mark.parametrize(
    ("limit_usd", "n", "sent"), [(0.2, 1, 0), (0.3, 1, 300), (0.6, 2, 300), (1000, 1, None)]
)
async def test_a_limit_is_set_only_where_it_is_needed_and_leaves_room_for_an_answer(
    limit_usd: float, n: int, sent: int | None
) -> None:
    async with house_with(Purse(limit_usd)) as house:
        unlimited(house, n=n)
        bodies = [json.loads(one.body).get("max_tokens") for one in house.upstreams.sent]
        assert bodies == ([] if sent == 0 else [sent])


@pytest.mark.parametrize("action", ["refuse", "degrade", "ask"])
async def test_that_calls_no_longer_fit_is_told_of_calls_that_are_not_sent_alone(action: str) -> None:
    purse = Purse(1.0, on_limit=action)
    async with house_with(purse) as house:
        unlimited(house)
        assert json.loads(house.upstreams.sent[0].body)["max_tokens"] == 1000
        assert purse.told == [], "it was sent, if for a shorter answer"
        house.upstreams.sent[0].connect()
        house.upstreams.sent[0].begin(200, JSON)
        house.upstreams.sent[0].say(json.dumps(WHOLE).encode())
        house.upstreams.sent[0].complete()
        house.ask(PATHS["chat"], asking("chat", "alpha/m", stream=False) | {"max_tokens": 5000})
        assert [event.kind for event in purse.told] == ["refused"]


async def test_who_has_no_room_for_even_a_short_answer_is_named() -> None:
    """Of two budgets only one is in the way of that; a grant of the other would help nobody."""
    purse = Purse(1.0)
    both = [
        BudgetConfig(scope="all", limit_usd=1.0, window="total"),
        BudgetConfig(scope="task:review", limit_usd=0.1, window="total", on_limit="ask"),
    ]
    purse.book.use(rules_of(both))
    async with house_with(purse) as house:
        body = dict(asking("chat", "alpha/m", stream=False))
        del body["max_tokens"]
        house.ask(PATHS["chat"], body, **{"x-freehold-task": "review"})
        status, _, answer = house.answer
        message = json.loads(answer)["error"]["message"]
        assert status == 402 and house.upstreams.sent == []
        assert message.startswith(
            "the budget task:review in total has 0.10 of 0.10 USD left; this call could"
        )
        assert "0.26" in message and "Whoever runs Freehold may allow more" in message
        assert [event.budget for event in purse.told] == ["task:review in total"]


@pytest.mark.parametrize(("said", "held"), [(100, 0.1), (100.0, 0.1), ("100", 0.1), (99.5, 0.1)])
async def test_a_limit_that_lenient_servers_read_is_read(said: object, held: float) -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        house.ask(PATHS["chat"], asking("chat", "alpha/m", stream=False) | {"max_tokens": said})
        assert json.loads(house.upstreams.sent[0].body)["max_tokens"] == said
        assert purse.usd(HELD) == pytest.approx(held)


async def test_a_predicted_output_may_be_billed_as_said() -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        predicted = {"prediction": {"type": "content", "content": "z" * 100}}
        house.ask(PATHS["chat"], asking("chat", "alpha/m", stream=False) | predicted)
        assert 0.109 <= purse.usd(HELD) < 0.2


@pytest.mark.parametrize("said", [0, -1, "many", True, [1], 1e300])
async def test_a_limit_that_nobody_understands_is_not_replaced(said: object) -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        house.ask(PATHS["chat"], asking("chat", "alpha/m", stream=False) | {"max_tokens": said})
        assert house.answer[0] == 402 and house.upstreams.sent == []


async def test_the_same_place_again_gets_the_same_limit() -> None:
    async with house_with(Purse(1.0)) as house:
        unlimited(house)
        house.upstreams.sent[0].connect()
        house.upstreams.sent[0].fail("the upstream closed the connection")
        await until(lambda: len(house.upstreams.sent) == 2)
        assert [json.loads(one.body)["max_tokens"] for one in house.upstreams.sent] == [1000, 1000]


async def test_rather_another_candidate_than_a_short_answer() -> None:
    purse = Purse(1.0, scope="provider:alpha")
    async with house_with(purse) as house:
        unlimited(house, "two")
        assert house.upstreams.sent[0].origin.host == "beta"
        assert "max_tokens" not in json.loads(house.upstreams.sent[0].body)


async def test_a_short_answer_where_no_other_candidate_is_under_another_budget() -> None:
    async with house_with(Purse(1.0)) as house:
        unlimited(house, "two")
        assert house.upstreams.sent[0].origin.host == "alpha"
        assert json.loads(house.upstreams.sent[0].body)["max_tokens"] == 1000


def tiered() -> PriceBook:
    """`m` of `alpha` costs a thousandth of a dollar for each token of an answer, and twice that in haste."""
    usual, hasty = (ListedPrices(input=0, output=factor * PRICE.output) for factor in (1, 2))
    terms = (Terms(base=usual),)
    variants = (Terms(base=hasty, when={"service_tier": "priority"}),)
    model = Model(id="m", match=Clause(equals=("m",)), prices=terms, variants=variants)
    rows = msgspec.json.encode(Provider(models=(model,)))
    return PriceBook(Table(providers={"vendor": msgspec.Raw(rows)}), "hash")


@pytest.mark.parametrize("given", ["priority", "default"])
async def test_haste_is_held_at_its_price_and_paid_as_the_answer_says(given: str) -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        house.gateway.prices = tiered()
        alpha = replace(CATALOG.providers["alpha"], price_as="vendor")
        house.gateway.use_catalog(replace(CATALOG, providers={**CATALOG.providers, "alpha": alpha}))
        house.ask(PATHS["chat"], asking("chat", "alpha/m", stream=False) | {"service_tier": "priority"})
        assert purse.usd(HELD) == pytest.approx(0.018), "nine tokens are allowed"
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, JSON)
        sent.say(json.dumps(WHOLE | {"service_tier": given}).encode())
        sent.complete()
        assert purse.usd(SPENT) == (0.002 if given == "priority" else 0.001)
        (receipt,) = house.ledger.receipts
        assert receipt.price_terms == ("service_tier=priority" if given == "priority" else "")


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


class LaterClock(Clock):
    """Its time is moved by hand."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms


async def test_how_long_a_call_waits_for_money_is_counted_from_then() -> None:
    """Before that, the first place was waited for."""
    purse = Purse(0.010)
    async with house_with(purse) as house:
        clock = house.gateway.clock = LaterClock()
        ask(house, "two")
        house.upstreams.sent[0].connect()
        clock.ms += 30_000
        purse.book.grant(next(purse.book.accounts()), 9 * USD // 1000, clock.ms)
        purse.book.hold(PAYER, 5 * USD // 1000, clock.ms, "other")
        (call,) = house.gateway.active
        call.expire()
        purse.queue.tick(clock.ms + 500)
        assert (purse.queue.waiting, house.written) == (1, b"")
        purse.queue.tick(clock.ms + 10_000)
        assert house.answer[0] == 429


async def test_a_deadline_of_the_caller_holds_while_a_second_place_waits_for_money() -> None:
    purse = Purse(0.010)
    async with house_with(purse) as house:
        ask(house, "two", x_freehold_deadline_s="2")
        (sent,) = house.upstreams.sent
        sent.connect()
        (call,) = house.gateway.active
        sent.begin(503, JSON)
        sent.say(b'{"error":{"message":"x"}}')
        purse.queue.hold(PAYER, 9 * USD // 1000, NOW_MS, "other", lambda _: None)
        sent.complete()
        assert call.money is not None and call.money.waiting
        deadline_s = call.deadline_s
        assert deadline_s and not call.heard, "the next sweep leaves it as it is"


@pytest.mark.parametrize(
    ("prompt", "held"), [(["a", "b", "c", "d"], 0.04), ([[1, 2], [3]], 0.02), ([1, 2, 3], 0.01), ("a", 0.01)]
)
async def test_each_prompt_of_a_request_for_completions_is_held_for(prompt: object, held: float) -> None:
    purse = Purse(1.0)
    async with house_with(purse) as house:
        house.ask("/v1/completions", {"model": "alpha/m", "prompt": prompt, "max_tokens": 10})
        assert purse.usd(HELD) == pytest.approx(held)
