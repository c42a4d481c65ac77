"""Tokens are counted where the client's dialect does not know how: exactly on our engines, else estimated."""

from __future__ import annotations

import asyncio
import json

import pytest

from freehold.core.servers import ServerState
from tests.gateway.calls import JSON, until
from tests.gateway.rooms import House

QUESTION = {"messages": [{"role": "user", "content": "hello there"}], "max_tokens": 1}


async def turn_until_sent(house: House, count: int) -> None:
    await until(lambda: len(house.upstreams.sent) >= count)


async def ended(house: House) -> None:
    await until(lambda: bool(house.ledger.receipts))


def reply(house: House, status: int, body: object) -> None:
    sent = house.upstreams.open[0]
    sent.connect()
    sent.begin(status, JSON)
    sent.say(json.dumps(body).encode())
    sent.complete()


async def test_our_own_engine_counts_with_its_template_and_vocabulary():
    async with House() as house:
        house.servers.become(ServerState.READY)
        house.ask("/v1/messages/count_tokens", QUESTION | {"model": "local"})
        await turn_until_sent(house, 1)
        assert house.upstreams.sent[0].head[0] == b"POST /apply-template HTTP/1.1"
        reply(house, 200, {"prompt": "<user>hello there"})
        await turn_until_sent(house, 2)
        assert house.upstreams.sent[1].head[0] == b"POST /tokenize HTTP/1.1"
        assert json.loads(house.upstreams.sent[1].body)["content"] == "<user>hello there"
        reply(house, 200, {"tokens": [1, 2, 3]})
        await ended(house)
        (receipt,) = house.ledger.receipts
    assert json.loads(house.answer[2]) == {"input_tokens": 3}
    assert "x-freehold-lossy" not in house.answer[1]
    assert (receipt.outcome, receipt.server) == ("ok", "local")


@pytest.mark.parametrize("fault", ["status", "shape", "cut"])
async def test_an_engine_that_cannot_count_leads_to_an_estimate_that_says_so(fault):
    async with House() as house:
        house.servers.become(ServerState.READY)
        house.ask("/v1/messages/count_tokens", QUESTION | {"model": "local"})
        await turn_until_sent(house, 1)
        if fault == "cut":
            house.upstreams.sent[0].connect()
            house.upstreams.sent[0].fail("gone")
        else:
            reply(house, 404 if fault == "status" else 200, {"odd": 1})
        await ended(house)
    status, headers, body = house.answer
    assert (status, headers["x-freehold-lossy"]) == (200, "estimated_tokens")
    assert json.loads(body)["input_tokens"] > 0


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/v1/messages/count_tokens", QUESTION, {}),
        ("/v1/responses/input_tokens", {"input": "hello there"}, {"object": "response.input_tokens"}),
    ],
)
async def test_elsewhere_the_count_is_an_estimate_in_the_clients_shape(path, body, kind):
    async with House() as house:
        house.ask(path, body | {"model": "beta/m"})
        await ended(house)
        assert house.upstreams.sent == []
    found = json.loads(house.answer[2])
    assert found.pop("input_tokens") > 0
    assert found == kind
    assert house.answer[1]["x-freehold-lossy"] == "estimated_tokens"


async def test_a_place_that_speaks_the_dialect_counts_itself():
    async with House() as house:
        house.ask("/v1/messages/count_tokens?beta=true", QUESTION | {"model": "claude/m"})
        (sent,) = house.upstreams.sent
        assert sent.head[0] == b"POST /v1/messages/count_tokens?beta=true HTTP/1.1"
        assert json.loads(sent.body)["model"] == "m"
        reply(house, 200, {"input_tokens": 12})
        await ended(house)
    assert json.loads(house.answer[2]) == {"input_tokens": 12}


async def test_a_client_that_leaves_while_tokens_are_counted_is_recorded_once():
    async with House() as house:
        house.servers.become(ServerState.READY)
        house.ask("/v1/messages/count_tokens", QUESTION | {"model": "local"})
        await turn_until_sent(house, 1)
        house.upstreams.sent[0].connect()
        house.leave()
        await ended(house)
        await asyncio.sleep(0)
        assert house.upstreams.open == []
        (receipt,) = house.ledger.receipts
    assert receipt.outcome == "cancelled"
