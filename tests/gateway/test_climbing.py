"""A call that goes a tier up: each answer that was begun is paid for, on the account of who gave it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.app.budgets import payments
from freehold.core.catalog import Catalog, Deployment
from freehold.core.servers import ServerSpec, ServerState
from freehold.costs.book import PriceBook
from freehold.costs.budgets.accounts import HELD, SPENT
from freehold.costs.budgets.scopes import Payer
from freehold.costs.overrides import RateOverride
from freehold.routing.router import Router
from freehold.routing.world import Place, Rates, RoutingRules
from freehold.supervisor.slots import Slots
from tests.gateway.calls import EVENTS, JSON, PATHS, STREAM, WHOLE, event, turns
from tests.gateway.rooms import CATALOG, NOW_MS, House, Sent
from tests.gateway.test_hedging import receipt_of, serve
from tests.gateway.test_money import PRICE, USD, Purse

SORRY = "I'm sorry, but I can't help with that. It is against the rules that I have."
RULES = RoutingRules(explore=0.0, sticky_s=0.0, second_nanos=0)


def climbing(purse: Purse | None, premium: str = "beta/m") -> House:
    """`alpha/m` is asked first, and then the dearer one."""
    house = House()
    house.gateway.budgets = purse
    house.gateway.prices = PriceBook.empty(dict.fromkeys(("alpha/m", "beta/m", "claude/m"), PRICE))
    house.gateway.router = Router()
    first, second = CATALOG.deployments["alpha/m"], CATALOG.deployments[premium]
    places = [
        Place(deployment=first, tier="balanced", rates=Rates(fresh_in=10**6, out=10**6), model="m"),
        Place(deployment=second, tier="premium", rates=Rates(fresh_in=10**7, out=10**7), model="q"),
    ]
    house.gateway.router.use(RULES, places)
    return house


def ask(house: House, *, stream: bool = False, **more: Any) -> Sent:
    turn = [{"role": "user", "content": "hi"}]
    house.ask(PATHS["chat"], {"model": "auto", "messages": turn, "stream": stream, **more})
    (sent,) = house.upstreams.sent
    assert sent.origin.host == "alpha"
    sent.connect()
    return sent


def empty(tokens: int = 1) -> bytes:
    """An answer that is not good enough."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens}
    return json.dumps(WHOLE | {"choices": [choice], "usage": usage}).encode()


def answer(sent: Sent, body: bytes) -> None:
    sent.begin(200, JSON)
    sent.say(body)
    sent.complete()


def delta(finish: str | None = None, **said: str) -> bytes:
    return event(choices=[{"index": 0, "delta": said, "finish_reason": finish}])


def flow(sent: Sent, *pieces: bytes) -> None:
    for piece in pieces:
        if not sent.over:
            sent.say(piece)
            sent.flush()


async def test_an_answer_that_was_held_back_and_broke_off_was_paid() -> None:
    async with climbing(Purse(1.0)) as house:
        sent = ask(house, stream=True, max_tokens=100)
        sent.begin(200, EVENTS)
        flow(sent, delta(role="assistant", content=SORRY))
        second = house.upstreams.sent[1]
        flow(sent, *[delta(content="word")] * 50)
        sent.fail()
        serve(second, *STREAM)
        receipt = await receipt_of(house)
        assert receipt.attempts[0].cost_nanos >= 50 * USD // 1000


async def test_what_a_place_had_said_of_an_answer_that_cannot_be_passed_on_was_paid() -> None:
    """The client wants it whole in another dialect; the connection broke in the middle."""
    purse = Purse(10.0**6)
    async with climbing(purse) as house:
        house.gateway.router = None
        dear = RateOverride(input=1000 * USD, output=1000 * USD)
        house.gateway.prices = PriceBook.empty({"claude/m": dear, "beta/m": PRICE})
        turn = [{"role": "user", "content": "hi"}]
        house.ask(PATHS["chat"], {"model": "foreign", "messages": turn, "max_tokens": 9})
        (sent,) = house.upstreams.sent
        assert sent.origin.host == "claude"
        sent.connect()
        sent.begin(200, JSON)
        flow(
            sent, b'{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"a lo'
        )
        sent.fail()
        serve(house.upstreams.sent[1])
        receipt = await receipt_of(house)
        assert receipt.attempts[0].cost_nanos
        assert round(purse.usd(SPENT) * USD) == receipt.cost_nanos


@pytest.mark.parametrize("cut", [0, 9])
async def test_an_end_in_two_pieces_is_an_end(cut: int) -> None:
    purse = Purse(1.0)
    async with climbing(purse) as house:
        sent, done = ask(house, stream=True, max_tokens=100), STREAM[-1]
        sent.begin(200, EVENTS)
        flow(
            sent, delta(role="assistant", content=""), delta("stop"), *filter(None, (done[:cut], done[cut:]))
        )
        if not sent.over:
            sent.complete()
        for second in house.upstreams.sent[1:]:
            serve(second, *STREAM)
        receipt = await receipt_of(house)
        assert house.answer[0] == 200
        assert len(receipt.attempts) == len(house.upstreams.sent), "everybody who was asked is told of"
        assert purse.usd(HELD) == 0


async def test_a_second_answer_that_cannot_be_translated_was_paid_though_the_first_is_given() -> None:
    purse = Purse(10.0)
    async with climbing(purse, premium="claude/m") as house:
        answer(ask(house, max_tokens=100), empty())
        second = house.upstreams.sent[1]
        assert second.origin.host == "claude"
        second.connect()
        said = {"id": "x", "type": "message", "role": "assistant", "content": "strange"}
        answer(second, json.dumps(said | {"usage": {"input_tokens": 3, "output_tokens": 77}}).encode())
        receipt = await receipt_of(house)
        assert house.answer[0] == 200
        assert receipt.cost_nanos >= 77 * USD // 1000
        assert round(purse.usd(SPENT) * USD) == receipt.cost_nanos


async def test_budgets_that_come_meanwhile_get_what_each_provider_was_paid() -> None:
    async with climbing(None) as house:
        answer(ask(house, max_tokens=100), empty(50))
        purse = house.gateway.budgets = Purse(1.0, scope="provider:*")
        serve(house.upstreams.sent[1])
        due = {payer.provider: nanos for payer, nanos in payments(await receipt_of(house))}
        assert set(due) == {"alpha", "beta"}
        spent = {each.subject: each.balances[SPENT] for each in purse.book.accounts()}
        assert {name: nanos for name, nanos in spent.items() if nanos} == due


async def test_room_that_came_while_the_first_place_failed_is_used_for_the_second() -> None:
    purse = Purse(1.0)
    async with climbing(purse) as house:
        purse.book.hold(Payer(provider="alpha", model="m"), USD // 2, NOW_MS, "other")
        sent = ask(house)
        assert json.loads(sent.body)["max_tokens"] == 500
        purse.book.grant(next(purse.book.accounts()), 10**6 * USD, NOW_MS)
        sent.begin(503, JSON)
        sent.say(b'{"error":{"message":"over"}}')
        sent.complete()
        await turns()
        assert len(house.upstreams.sent) == 2


async def test_a_server_of_ours_that_cannot_take_the_request_gives_its_slot_back() -> None:
    own = Deployment(name="qwen", model_id="qwen", server="qwen")
    first = CATALOG.deployments["claude/m"]
    house = climbing(None)
    named = {first.name: first, own.name: own}
    house.gateway.use_catalog(Catalog(providers=CATALOG.providers, deployments=named, aliases={}))
    house.servers.states["qwen"] = ServerState.READY
    house.servers.slots["qwen"] = Slots(ServerSpec(name="qwen", slots=1, max_queue=8))
    assert house.gateway.router is not None
    places = [
        Place(deployment=first, tier="balanced", rates=Rates(fresh_in=1, out=1), model="m"),
        Place(deployment=own, tier="premium", rates=Rates(fresh_in=10, out=10), model="q"),
    ]
    house.gateway.router.use(RULES, places)
    async with house:
        turn = [{"role": "user", "content": "hi"}]
        thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5}
        body = {"model": "auto", "max_tokens": 9, "messages": turn, **thinking}
        house.ask(PATHS["messages"], body, x_freehold_strict="1")
        (sent,) = house.upstreams.sent
        sent.connect()
        said = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn"}
        content = [{"type": "text", "text": ""}]
        usage = {"input_tokens": 3, "output_tokens": 1}
        answer(sent, json.dumps(said | {"content": content, "usage": usage}).encode())
        await receipt_of(house)
        assert house.answer[0] == 200
        assert not house.servers.in_flight
