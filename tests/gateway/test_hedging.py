"""A second place is asked when the first is slow; one of them answers, and both are paid for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.core.servers import ServerState
from freehold.costs.book import PriceBook
from freehold.costs.budgets.accounts import HELD, SPENT
from freehold.gateway import dying
from freehold.gateway.call import Call
from freehold.gateway.hedging import Hedging
from freehold.receipts.entries import Receipt
from freehold.routing.hedge import HedgeRules
from tests.gateway.calls import EVENTS, JSON, PATHS, STREAM, WHOLE, asking, turns
from tests.gateway.rooms import House, Sent
from tests.gateway.test_money import PRICE, Purse

RULES = HedgeRules(share=1.0, least_s=0.0)


def hedging(purse: Purse | None = None) -> House:
    house = House()
    house.gateway.hedging = Hedging(RULES)
    house.gateway.prices = PriceBook.empty({"alpha/m": PRICE, "beta/m": PRICE})
    house.gateway.budgets = purse
    return house


def ask(house: House, model: str = "two", *, stream: bool = False, **more: Any) -> None:
    house.ask(PATHS["chat"], asking("chat", model, stream=stream) | more)


def the_call(house: House) -> Call:
    (call,) = house.gateway.active
    return call


def slow(house: House) -> None:
    """The first place has taken longer than it usually does."""
    call = the_call(house)
    assert house.gateway.hedging is not None
    house.gateway.hedging.due(call, call.tries[-1])


def serve(sent: Sent, *pieces: bytes) -> None:
    if sent.stage == "dialling":
        sent.connect()
    sent.begin(200, EVENTS if pieces else JSON)
    for piece in pieces or (json.dumps(WHOLE).encode(),):
        sent.say(piece)
        sent.flush()
    sent.complete()


async def receipt_of(house: House) -> Receipt:
    await turns()
    (receipt,) = house.ledger.receipts
    return receipt


def lines_of(receipt: Receipt) -> list[tuple[str, str, int]]:
    return [(one.deployment, one.error, one.cost_nanos) for one in receipt.attempts]


@pytest.mark.parametrize("stream", [False, True])
async def test_the_second_place_answers_when_it_begins_first(stream: bool) -> None:
    purse = Purse(1.0)
    async with hedging(purse) as house:
        ask(house, stream=stream)
        first = house.upstreams.sent[0]
        first.connect()
        slow(house)
        assert [sent.origin.host for sent in house.upstreams.sent] == ["alpha", "beta"]
        assert purse.usd(HELD) == pytest.approx(0.018), "both could be paid"
        serve(house.upstreams.sent[1], *(STREAM if stream else ()))
        assert first.stage == "abandoned"
        status, headers, _ = house.answer
        assert (status, headers["x-freehold-deployment"]) == (200, "beta/m")
        assert "alpha/m is slow, asked beta/m too; beta/m began first" in headers["x-freehold-route"]
        receipt = await receipt_of(house)
        assert (receipt.deployment, receipt.outcome) == ("beta/m", "ok")
        assert [name for name, _, _ in lines_of(receipt)] == ["alpha/m", "beta/m"]
        assert receipt.attempts[0].error == "another place began first"
        assert receipt.usage.fresh_in > WHOLE["usage"]["prompt_tokens"], "the first read the prompt, too"
        assert receipt.cost_state == "estimated"
        assert (purse.usd(HELD), purse.usd(SPENT) * 10**9) == (0, receipt.cost_nanos)


async def test_the_first_place_answers_when_it_begins_first_after_all() -> None:
    purse = Purse(1.0)
    async with hedging(purse) as house:
        ask(house)
        house.upstreams.sent[0].connect()
        slow(house)
        house.upstreams.sent[1].connect()
        serve(house.upstreams.sent[0])
        assert house.upstreams.sent[1].stage == "abandoned"
        receipt = await receipt_of(house)
        assert receipt.deployment == "alpha/m"
        assert [name for name, _, _ in lines_of(receipt)] == ["beta/m", "alpha/m"]
        assert (purse.usd(HELD), purse.usd(SPENT) * 10**9) == (0, receipt.cost_nanos)


async def test_a_place_that_was_not_reached_costs_nothing() -> None:
    async with hedging() as house:
        ask(house)
        house.upstreams.sent[0].connect()
        slow(house)
        serve(house.upstreams.sent[0])
        assert house.upstreams.sent[1].stage == "abandoned"
        receipt = await receipt_of(house)
        assert (receipt.cost_nanos, receipt.cost_state) == (1_000_000, "computed")


@pytest.mark.parametrize("how", ["broken", "refused", "late"])
async def test_when_the_first_fails_the_second_is_the_attempt(how: str) -> None:
    purse = Purse(1.0)
    async with hedging(purse) as house:
        ask(house)
        first = house.upstreams.sent[0]
        first.connect()
        slow(house)
        if how == "broken":
            first.fail()
        elif how == "late":
            the_call(house).expire()
        else:
            first.begin(503, JSON)
            first.say(b'{"error":{"message":"overloaded"}}')
            first.complete()
        assert len(house.upstreams.sent) == 2
        serve(house.upstreams.sent[1])
        assert house.answer[0] == 200
        receipt = await receipt_of(house)
        assert [name for name, _, _ in lines_of(receipt)] == ["alpha/m", "beta/m"]
        assert purse.usd(HELD) == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_second_place_under_way_answers_also_where_no_other_would_be_asked(
    stream: bool,
) -> None:
    """The call has worked for a minute: it is not begun anew, but this attempt is there already."""
    async with hedging(Purse(1.0)) as house:
        ask(house, stream=stream)
        first = house.upstreams.sent[0]
        first.connect()
        slow(house)
        house.upstreams.sent[1].connect()
        the_call(house).started_ns -= 61 * 10**9
        first.fail()
        await turns()
        assert house.written == b""
        serve(house.upstreams.sent[1], *(STREAM if stream else ()))
        assert house.answer[0] == 200


async def test_nothing_is_said_of_a_death_that_another_place_has_answered_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dying, "_NOTICED_WITHIN_LOOKS", 1)
    monkeypatch.setattr(dying, "_LOOK_EVERY_S", 0.0)
    async with hedging(Purse(1.0)) as house:
        house.servers.become(ServerState.READY)
        ask(house, "local-first", stream=True)
        first = house.upstreams.sent[0]
        first.connect()
        slow(house)
        second = house.upstreams.sent[1]
        second.connect()
        the_call(house).started_ns -= 61 * 10**9
        first.fail()
        second.begin(200, EVENTS)
        second.say(STREAM[0])
        second.flush()
        await turns()
        assert house.written.count(b"HTTP/1.1") == 1
        assert second.stage == "body"


@pytest.mark.parametrize("status", [0, 429, 500])
async def test_when_the_second_fails_the_first_is_waited_for(status: int) -> None:
    purse = Purse(1.0)
    async with hedging(purse) as house:
        ask(house)
        house.upstreams.sent[0].connect()
        slow(house)
        second = house.upstreams.sent[1]
        second.connect()
        if status:
            second.begin(status, JSON)
        else:
            second.fail()
        assert purse.usd(HELD) == pytest.approx(0.009)
        serve(house.upstreams.sent[0])
        receipt = await receipt_of(house)
        assert (receipt.deployment, receipt.cost_nanos) == ("alpha/m", 1_000_000)
        assert len(receipt.attempts) == 2


async def test_a_client_that_leaves_stops_both() -> None:
    purse = Purse(1.0)
    async with hedging(purse) as house:
        ask(house)
        for sent in house.upstreams.sent:
            sent.connect()
        slow(house)
        house.upstreams.sent[1].connect()
        house.leave()
        assert [sent.stage for sent in house.upstreams.sent] == ["abandoned"] * 2
        receipt = await receipt_of(house)
        assert (receipt.outcome, len(receipt.attempts)) == ("cancelled", 2)
        assert (purse.usd(HELD), purse.usd(SPENT) * 10**9) == (0, receipt.cost_nanos)


async def test_there_is_no_second_attempt_without_money_for_both() -> None:
    async with hedging(Purse(0.01)) as house:
        ask(house)
        house.upstreams.sent[0].connect()
        slow(house)
        assert len(house.upstreams.sent) == 1


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("alpha/m", {}),
        ("two", {"store": True}),
        ("two", {"tools": [{"type": "web_search"}]}),
    ],
)
async def test_what_would_be_done_twice_is_asked_once(model: str, more: dict[str, Any]) -> None:
    async with hedging() as house:
        ask(house, model, **more)
        if house.upstreams.sent[0].stage == "dialling" and model == "two":
            slow(house)
        assert len(house.upstreams.sent) == 1


async def test_a_server_of_ours_gets_its_slot_back() -> None:
    async with hedging() as house:
        house.servers.limit(1)
        house.servers.become(ServerState.READY)
        ask(house, "local-first")
        house.upstreams.sent[0].connect()
        slow(house)
        assert len(house.servers.in_flight) == 1
        serve(house.upstreams.sent[1])
        assert house.servers.in_flight == []
        assert [failed for _, failed in house.servers.released] == [False]
        receipt = await receipt_of(house)
        assert (receipt.deployment, receipt.cost_nanos) == ("beta/m", 1_000_000)


async def test_how_long_is_slow_is_learned_and_the_share_is_kept() -> None:
    async with hedging() as house:
        known = house.gateway.hedging
        assert known is not None
        known.rules = HedgeRules(share=0.05, least_s=0.01)
        for number in range(24):
            ask(house)
            sent = house.upstreams.sent[-1]
            assert len(house.upstreams.sent) == number + 1
            serve(sent)
        ask(house)
        while len(house.upstreams.sent) < 26:
            await turns()
        assert house.upstreams.sent[-1].origin.host == "beta"
        serve(house.upstreams.sent[-1])
        known.hedged = 10
        ask(house)
        slow(house)
        assert len(house.upstreams.sent) == 27
