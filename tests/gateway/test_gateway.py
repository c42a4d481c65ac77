"""What all calls share: places that rest, answers that are kept elsewhere, catalogs that change, an end."""

from __future__ import annotations

import asyncio
import hashlib
import json

import msgspec
import pytest

from freehold.core.catalog import Catalog
from freehold.gateway.access import Access
from freehold.routing.fallback import Policy
from tests.gateway.calls import EVENTS, JSON, STREAM, WHOLE, asking, turns
from tests.gateway.rooms import CATALOG, House, Sent
from tests.gateway.wires import Transport

CHAT = "/v1/chat/completions"
ONCE = Policy(backoff_s=0.0, tries_per_deployment=1)


def reply(sent: Sent, status: int = 200, body: object = None, **headers: str) -> None:
    sent.connect()
    sent.begin(status, JSON | {name.replace("_", "-"): value for name, value in headers.items()})
    sent.say(json.dumps(body or WHOLE).encode())
    sent.complete()


def ask_and_fail(house: House, model: str, status: int = 500, **headers: str) -> None:
    house.ask(CHAT, asking("chat", model, stream=False))
    reply(house.upstreams.open[0], status, {"error": {"message": "no"}}, **headers)


async def test_a_place_that_fails_again_and_again_rests_and_that_is_told_at_once():
    async with House(policy=ONCE) as house:
        for _ in range(5):
            ask_and_fail(house, "alpha/m")
        house.transport.written.clear()
        house.ask(CHAT, asking("chat", "alpha/m", stream=False))
        assert house.upstreams.open == []
    status, headers, body = house.answer
    assert (status, json.loads(body)["error"]["code"]) == (503, "deployment_paused")
    assert 1 <= int(headers["retry-after"]) <= 5


async def test_a_resting_place_is_passed_over_while_another_one_is_well():
    async with House(policy=ONCE) as house:
        for _ in range(5):
            ask_and_fail(house, "alpha/m")
        house.ask(CHAT, asking("chat", "two", stream=False))
        (sent,) = house.upstreams.open
        assert sent.origin.host == "beta"


async def test_a_place_that_asks_for_quiet_gets_it():
    async with House(policy=ONCE) as house:
        ask_and_fail(house, "alpha/m", 429, retry_after="30")
        house.transport.written.clear()
        house.ask(CHAT, asking("chat", "alpha/m", stream=False))
        assert house.upstreams.open == []
    assert int(house.answer[1]["retry-after"]) > 25


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_a_faulty_request_is_not_its_places_fault(status):
    async with House(policy=ONCE) as house:
        for _ in range(8):
            ask_and_fail(house, "alpha/m", status)
        assert house.gateway.breaker_states() == {}


async def test_an_answer_after_failures_makes_the_place_well_again():
    async with House(policy=ONCE) as house:
        for _ in range(4):
            ask_and_fail(house, "alpha/m")
        house.ask(CHAT, asking("chat", "alpha/m", stream=False))
        reply(house.upstreams.open[0])
        assert house.gateway.breaker_states() == {}


async def test_a_kept_response_is_asked_for_where_it_was_made():
    async with House() as house:
        providers = {
            name: msgspec.structs.replace(provider, responses=name != "claude")
            for name, provider in CATALOG.providers.items()
        }
        house.gateway.use_catalog(msgspec.structs.replace(CATALOG, providers=providers))
        house.ask("/v1/responses", asking("responses", "beta/m", stream=False))
        reply(house.upstreams.open[0], body={"id": "resp_7", "object": "response", "model": "m"})
        await turns()
        house.ask("/v1/responses/resp_7/input_items?limit=2", method="GET")
        (sent,) = house.upstreams.open
        assert sent.origin.host == "beta"
        assert sent.head[0] == b"GET /v1/responses/resp_7/input_items?limit=2 HTTP/1.1"
        sent.connect()
        house.leave()


async def test_what_nobody_has_made_here_is_asked_of_the_default_provider():
    async with House() as house:
        house.ask("/v1/responses/resp_8", method="GET")
        assert house.upstreams.open[0].origin.host == "alpha"


async def test_names_follow_the_catalog_that_is_in_force():
    async with House() as house:
        house.ask(CHAT, asking("chat", "two", stream=False))
        reply(house.upstreams.open[0])
        await turns()
        house.transport.written.clear()
        house.gateway.use_catalog(Catalog())
        house.ask(CHAT, asking("chat", "two", stream=False))
    assert house.answer[0] == 404


async def test_the_clients_key_stays_here_and_the_providers_goes_there():
    async with House() as house:
        house.ask(
            CHAT, asking("chat", "alpha/m", stream=False), authorization="Bearer mine", x_api_key="mine"
        )
        (sent,) = house.upstreams.open
        assert b"authorization: Bearer sk-alpha" in sent.head
        assert not any(b"mine" in line for line in sent.head)


async def test_a_provider_that_repeats_its_key_does_not_tell_it():
    async with House() as house:
        house.ask(CHAT, asking("chat", "alpha/m", stream=False))
        reply(house.upstreams.open[0], 401, {"error": {"message": "bad key sk-alpha"}})
        await turns()
        (receipt,) = house.ledger.receipts
    assert house.answer[0] == 401
    assert b"sk-alpha" not in house.written
    assert "sk-alpha" not in receipt.error + receipt.attempts[0].error


async def test_draining_waits_for_calls_in_flight_and_no_longer():
    async with House() as house:
        house.ask(CHAT, asking("chat", "alpha/m", stream=True))
        (sent,) = house.upstreams.open
        sent.connect()
        sent.begin(200, EVENTS)
        draining = asyncio.create_task(house.gateway.drain(30.0))
        await turns()
        assert not draining.done()
        sent.say(b"".join(STREAM))
        sent.flush()
        sent.complete()
        await turns()
        assert b"[DONE]" in house.written
        assert not draining.done(), "the last bytes may still be on their way"
        house.leave()
        await draining
        await house.gateway.drain(30.0)


async def test_draining_gives_up_when_its_time_is_over():
    async with House() as house:
        house.ask(CHAT, asking("chat", "alpha/m", stream=True))
        await house.gateway.drain(0.0)
        assert house.ledger.receipts == []
    assert [one.outcome for one in house.ledger.receipts] == ["cancelled"]


async def test_a_path_takes_only_its_methods():
    async with House() as house:
        house.ask("/v1/messages", method="PUT")
        assert house.ledger.receipts == []
    assert (house.answer[0], house.answer[1]["allow"]) == (405, "POST")


async def test_a_translation_that_loses_something_is_refused_where_that_is_wanted():
    body = asking("chat", "claude/m", stream=False) | {"logit_bias": {"5": 1}, "seed": 7}
    async with House() as house:
        house.ask(CHAT, body, x_freehold_strict="1")
        await turns()
        assert house.upstreams.sent == []
        house.transport.written.clear()
        house.ask(CHAT, body)
        reply(
            house.upstreams.open[0],
            body={
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [{"type": "text", "text": "hi"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 1, "output_tokens": 1},
            },
        )
        await turns()
        refused, answered = house.ledger.receipts
    assert (refused.outcome, refused.status) == ("refused", 400)
    assert answered.outcome == "ok"
    assert house.answer[1]["x-freehold-lossy"] == ", ".join(answered.losses)


async def test_who_connects_as_draining_begins_is_not_waited_for():
    async with House() as house:
        house.ask(CHAT, asking("chat", "alpha/m", stream=False))
        draining = asyncio.create_task(house.gateway.drain(30.0))
        await turns()
        late, transport = house.gateway.connection(), Transport()
        late.connection_made(transport)
        await turns()
        assert transport.ended == "close"
        late.connection_lost(None)
        house.leave()
        await asyncio.wait_for(draining, 5)


def keys(*names: str) -> Access:
    """Each key is its name."""
    return Access.of({hashlib.sha256(name.encode()).hexdigest(): name for name in names}, "127.0.0.1", 8400)


@pytest.mark.parametrize(
    ("before", "headers"),
    [(keys("old"), {"authorization": "Bearer old"}), (keys(), {})],
    ids=["other", "none"],
)
async def test_new_keys_hold_for_the_next_call_on_a_connection_that_is_open(
    before: Access, headers: dict[str, str]
) -> None:
    async with House() as house:
        house.gateway.access = before
        house.ask(CHAT, asking("chat", "alpha/m", stream=False), **headers)
        reply(house.upstreams.open[0])
        await turns()
        house.transport.written.clear()
        house.gateway.access = keys("new")
        house.ask(CHAT, asking("chat", "alpha/m", stream=False), **headers)
        await turns()
        assert len(house.upstreams.sent) == 1
    assert house.answer[0] == 401
