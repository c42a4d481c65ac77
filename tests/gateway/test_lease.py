"""Calls and the slots of our servers: one slot an attempt, always given back, and no call waits longer than
it or its alias allows."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from freehold.core.servers import LeaseAsk, LeaseRefusal, ServerState
from freehold.gateway.limits import Limits
from freehold.routing.fallback import Policy
from tests.gateway.calls import EVENTS, JSON, PATHS, STREAM, WHOLE, asking, turns, until
from tests.gateway.rooms import CATALOG, House, Sent
from tests.talk import BOUNDARY, upload

PATIENT = Limits(first_sign_s=60.0, sign_of_life_s=60.0)
DIALECTS = ("chat", "messages", "responses")


def ready(**spec: Any) -> House:
    house = House(limits=PATIENT, policy=Policy(backoff_s=0.0))
    house.servers.limit(1, **spec)
    house.servers.become(ServerState.READY)
    return house


def ask(
    house: House, model: str = "local", *, dialect: str = "chat", stream: bool = False, **headers: str
) -> None:
    house.ask(PATHS[dialect], asking(dialect, model, stream=stream), **headers)


def occupy(house: House, took_s: float | None = None) -> None:
    """Somebody else has the only slot; calls have taken so long before."""
    servers = house.servers
    other = LeaseAsk("other", "somebody", b"")
    if took_s is not None:
        lease = servers.lease("local", other)
        servers.now_s += took_s
        servers.release(lease)
    servers.lease("local", other)


def free(house: House) -> None:
    house.servers.release(next(lease for lease in house.servers.in_flight if lease.call_id == "other"))


def serve(sent: Sent, *pieces: bytes) -> None:
    sent.connect()
    sent.begin(200, EVENTS if pieces else JSON)
    for piece in pieces or (json.dumps(WHOLE).encode(),):
        sent.say(piece)
        sent.flush()
    sent.complete()


async def receipt_of(house: House) -> Any:
    await turns()
    (receipt,) = house.ledger.receipts
    return receipt


# -- taken and given back


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_holds_a_slot_until_its_answer_is_whole(dialect, stream):
    async with ready() as house:
        ask(house, dialect=dialect, stream=stream)
        (lease,) = house.servers.in_flight
        assert json.loads(lease.body)["model"] == "local"
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, EVENTS if stream else JSON)
        for piece in STREAM if stream else (json.dumps(WHOLE).encode(),):
            sent.say(piece)
            sent.flush()
            assert house.servers.in_flight == [lease], "the server works on it still"
        sent.complete()
        assert house.servers.released == [(lease.call_id, False)]
        assert (await receipt_of(house)).outcome == "ok"


async def test_calls_to_providers_take_no_slot():
    async with ready() as house:
        ask(house, "alpha/m")
        serve(house.upstreams.sent[0])
        assert (await receipt_of(house)).outcome == "ok"
    assert house.servers.released == []


@pytest.mark.parametrize("where", ["dialling", "connected", "body"])
async def test_a_server_that_breaks_off_is_told_of(where):
    async with ready() as house:
        ask(house, stream=True)
        (sent,) = house.upstreams.sent
        if where != "dialling":
            sent.connect()
        if where == "body":
            sent.begin(200, EVENTS)
            sent.say(STREAM[0])
            sent.flush()
        sent.fail()
        assert [failed for _, failed in house.servers.released] == [True]
        assert house.servers.in_flight == []


async def test_an_answer_with_an_error_status_is_no_broken_server():
    async with ready() as house:
        ask(house)
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(400, JSON)
        sent.say(b'{"error":{"message":"no"}}')
        sent.complete()
        await receipt_of(house)
    assert [failed for _, failed in house.servers.released] == [False]


async def test_each_try_has_a_slot_of_its_own_and_there_are_never_two():
    async with ready() as house:
        ask(house)
        for _ in range(2):
            (sent,) = house.upstreams.open
            assert len(house.servers.in_flight) == 1
            sent.fail()
            assert house.servers.in_flight == []
            await until(lambda: bool(house.upstreams.open or house.ledger.receipts))
        assert (await receipt_of(house)).outcome == "error"
    assert [failed for _, failed in house.servers.released] == [True, True]


async def test_a_fallback_to_a_provider_gives_the_slot_back():
    async with ready() as house:
        ask(house, "local-first")
        house.upstreams.open[0].fail()
        assert house.servers.in_flight == []
        serve(house.upstreams.open[0])
        assert (await receipt_of(house)).deployment == "beta/m"


async def test_a_client_that_leaves_gives_its_slot_back():
    async with ready() as house:
        ask(house, stream=True)
        house.upstreams.sent[0].connect()
        house.leave()
        assert [failed for _, failed in house.servers.released] == [False]


async def test_a_server_that_keeps_silent_is_told_of():
    async with ready() as house:
        ask(house)
        house.upstreams.sent[0].connect()
        (call,) = house.gateway.active
        call.expire()
        assert [failed for _, failed in house.servers.released] == [True]


async def test_a_request_that_cannot_be_translated_gives_its_slot_back():
    async with ready() as house:
        house.ask("/v1/messages", {"model": "local", "max_tokens": 9, "messages": [{"role": "odd"}]})
        await receipt_of(house)
        assert house.upstreams.sent == []
    assert house.servers.in_flight == []


async def test_work_seen_moves_the_leases_mark():
    async with ready() as house:
        ask(house, stream=True)
        (lease,) = house.servers.in_flight
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, EVENTS)
        lease.heard_s = -1.0
        house.gateway._sweep()
        assert lease.heard_s == -1.0
        sent.say(STREAM[0])
        house.gateway._sweep()
        assert lease.heard_s == 0.0  # the clock of these rooms


async def test_an_upload_holds_a_slot_and_has_no_digest_in_common_with_others():
    body = upload("local", b"x" * 100)
    kind = f"content-type: multipart/form-data; boundary={BOUNDARY}"
    head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\n{kind}\r\n"
    async with ready() as house:
        house.connection.data_received(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        (lease,) = house.servers.in_flight
        assert lease.body == lease.call_id.encode()
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, JSON)
        sent.say(b'{"text":"hi"}')
        sent.complete()
        assert (await receipt_of(house)).outcome == "ok"
    assert house.servers.in_flight == []


async def test_an_upload_waits_for_a_slot_and_goes_whole():
    body = upload("local", b"x" * 5000)
    kind = f"content-type: multipart/form-data; boundary={BOUNDARY}"
    head = f"POST /v1/audio/transcriptions HTTP/1.1\r\nhost: localhost\r\n{kind}\r\n"
    async with ready() as house:
        occupy(house)
        house.connection.data_received(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body[:700])
        house.connection.data_received(body[700:])
        free(house)
        await turns()
        (sent,) = house.upstreams.sent
        sent.connect()
        assert sent.body == upload("local", b"x" * 5000)


async def test_counting_tokens_takes_a_slot_too():
    async with ready() as house:
        question = {"model": "local", "messages": [{"role": "user", "content": "hi"}]}
        house.ask("/v1/messages/count_tokens", question)
        await until(lambda: bool(house.upstreams.sent))
        assert len(house.servers.in_flight) == 1
        house.upstreams.sent[0].fail("gone")
        await until(lambda: bool(house.ledger.receipts))
    assert [failed for _, failed in house.servers.released] == [True]


# -- waiting


async def test_a_call_waits_for_a_slot_and_its_receipt_says_so():
    async with ready() as house:
        occupy(house)
        ask(house)
        await turns()
        assert house.upstreams.sent == []
        assert house.servers.asked == [], "it runs already"
        free(house)
        await turns()
        serve(house.upstreams.sent[0])
        receipt = await receipt_of(house)
    assert receipt.route.endswith("; waited 0.0 s for a slot of local")
    assert receipt.outcome == "ok"


async def test_a_call_that_waited_for_a_load_says_so():
    async with House(limits=PATIENT) as house:
        ask(house)
        house.servers.become(ServerState.READY)
        serve(house.upstreams.sent[0])
        assert "for local to load" in (await receipt_of(house)).route


async def test_a_client_that_leaves_the_queue_is_forgotten():
    async with ready() as house:
        occupy(house)
        ask(house)
        house.leave()
        assert house.servers.waiting == 0
        free(house)
        await turns()
        assert house.servers.in_flight == []


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_full_queue_is_an_honest_503(dialect):
    async with ready(max_queue=0) as house:
        occupy(house, took_s=7.0)
        ask(house, dialect=dialect)
        await turns()
        status, headers, body = house.answer
        receipt = await receipt_of(house)
    assert (status, headers["retry-after"]) == (503, "7")
    error = json.loads(body)["error"]
    assert error["type"] == ("overloaded_error" if dialect == "messages" else "server_error") or error["code"]
    assert "takes no more" in error["message"]
    assert (receipt.outcome, receipt.attempts) == ("refused", ())


async def test_a_full_queue_leads_to_the_next_place():
    async with ready(max_queue=0) as house:
        occupy(house)
        ask(house, "local-first")
        await turns()
        serve(house.upstreams.sent[0])
        receipt = await receipt_of(house)
    assert (receipt.deployment, receipt.outcome) == ("beta/m", "ok")
    assert "local is full" in receipt.route


async def test_a_wait_that_was_too_long_is_an_honest_503():
    async with ready(max_wait_s=30.0) as house:
        occupy(house)
        ask(house)
        house.servers.pass_s(31.0)
        status, headers, body = house.answer
    assert (status, json.loads(body)["error"]["code"]) == (503, "waited_too_long")
    assert int(headers["retry-after"]) > 0


async def test_what_does_not_fit_is_told_and_is_not_asked_for_again():
    async with ready() as house:
        house.servers.states["local"] = ServerState.STOPPED
        ask(house)
        refusal = LeaseRefusal(code="does_not_fit", message="'local' needs 30 GiB and has 24 GiB")
        for callback, answer in house.servers.slots["local"].refuse_all(refusal):
            callback(answer)
        status, headers, body = house.answer
    assert (status, json.loads(body)["error"]["code"]) == (503, "does_not_fit")
    assert "retry-after" not in headers
    assert "30 GiB" in json.loads(body)["error"]["message"]


# -- deadlines


async def test_a_server_that_would_begin_too_late_is_passed_over():
    async with ready() as house:
        occupy(house, took_s=20.0)
        ask(house, "local-first", x_freehold_deadline_s="10")
        serve(house.upstreams.sent[0])
        receipt = await receipt_of(house)
    assert (receipt.deployment, house.servers.waiting) == ("beta/m", 0)
    assert "local is busy" in receipt.route


async def test_a_load_that_would_take_too_long_is_passed_over():
    async with House(limits=PATIENT) as house:
        house.servers.load_s = 60.0
        ask(house, "local-first", x_freehold_deadline_s="10")
        serve(house.upstreams.sent[0])
        assert (await receipt_of(house)).deployment == "beta/m"
        assert house.servers.asked == []


async def test_where_nothing_else_is_left_a_deadline_is_refused_with_when_to_come_back():
    async with ready() as house:
        occupy(house, took_s=20.0)
        ask(house, x_freehold_deadline_s="2.5")
        status, headers, body = house.answer
    assert (status, headers["retry-after"]) == (503, "20")
    assert json.loads(body)["error"]["message"] == (
        "model server 'local' has a slot in about 20 s, and the call may wait 2.5 s"
    )


@pytest.mark.parametrize(("model", "served_by"), [("local-first", "beta/m"), ("local", "")])
async def test_a_wait_is_bounded_by_the_deadline_where_nothing_is_known(model, served_by):
    async with ready() as house:
        occupy(house)
        ask(house, model, x_freehold_deadline_s="5")
        house.servers.pass_s(4.0)
        assert house.servers.waiting == 1
        house.servers.pass_s(1.5)
        if served_by:
            serve(house.upstreams.sent[0])
        receipt = await receipt_of(house)
    assert (receipt.deployment, house.answer[0]) == (served_by, 200 if served_by else 503)


async def test_a_deadline_says_nothing_while_a_slot_is_free():
    async with ready() as house:
        ask(house, x_freehold_deadline_s="0")
        serve(house.upstreams.sent[0])
        assert (await receipt_of(house)).outcome == "ok"


async def test_an_alias_waits_as_long_as_it_says_while_there_is_another_place():
    async with ready() as house:
        house.gateway.use_catalog(msgspec.structs.replace(CATALOG, max_waits={"local-first": 5.0}))
        occupy(house)
        ask(house, "local-first")
        house.servers.pass_s(6.0)
        serve(house.upstreams.sent[0])
        assert (await receipt_of(house)).deployment == "beta/m"


async def test_an_alias_waits_on_where_there_is_no_other_place():
    catalog = msgspec.structs.replace(CATALOG, aliases={"only": ("local",)}, max_waits={"only": 5.0})
    async with ready() as house:
        house.gateway.use_catalog(catalog)
        occupy(house, took_s=20.0)
        ask(house, "only")
        house.servers.pass_s(6.0)
        assert house.servers.waiting == 1
        house.leave()


# -- whose turn


async def test_who_asks_is_the_session_else_the_agent_else_the_address():
    seen: list[str] = []
    for headers in ({"x_freehold_session": "s", "x_freehold_agent": "a"}, {"x_freehold_agent": "a"}, {}):
        async with ready() as house:
            ask(house, **headers)
            seen.append(house.servers.in_flight[0].caller)
            house.leave()
    assert seen == ["s", "a", ""]


async def test_the_priority_of_a_call_counts_in_the_queue():
    async with ready() as house:
        occupy(house)
        ask(house, x_freehold_priority=" 7 ")
        assert house.servers.slots["local"].top_priority == 7
        house.leave()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("x_freehold_priority", value) for value in ("101", "-1", "high", "5.5", "", "1e1", "٣")),
        *(("x_freehold_deadline_s", value) for value in ("soon", "-1", "", "1e3", "inf", "nan", "9" * 400)),
    ],
)
async def test_a_header_that_means_nothing_is_a_clear_400(dialect, name, value):
    async with ready() as house:
        head = f"POST {PATHS[dialect]} HTTP/1.1\r\nhost: localhost\r\n{name.replace('_', '-')}: {value}\r\n"
        house.connection.data_received(f"{head}content-length: 2\r\n\r\n{{}}".encode())
        status, _, body = house.answer
        receipt = await receipt_of(house)
    assert status == 400
    assert name.replace("_", "-") in json.loads(body)["error"]["message"]
    assert (receipt.outcome, house.upstreams.sent) == ("refused", [])


# -- quarantine


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_request_that_killed_servers_is_refused_for_good(dialect):
    async with ready() as house:
        house.servers.blocked.add(json.dumps(asking(dialect, "local", stream=False)).encode())
        ask(house, dialect=dialect)
        status, headers, body = house.answer
        receipt = await receipt_of(house)
    assert (status, receipt.outcome, "retry-after" in headers) == (422, "refused", False)
    assert json.loads(body)["error"]["message"] == "two servers died under this request"


async def test_a_request_that_killed_servers_goes_to_no_other_server_but_to_a_provider():
    aliases = {"all": ("local", "second", "beta/m")}
    second = msgspec.structs.replace(CATALOG.deployments["local"], name="second", server="second")
    catalog = msgspec.structs.replace(
        CATALOG, aliases=aliases, deployments={**CATALOG.deployments, "second": second}
    )
    async with ready() as house:
        house.gateway.use_catalog(catalog)
        house.servers.blocked.add(json.dumps(asking("chat", "all", stream=False)).encode())
        ask(house, "all")
        serve(house.upstreams.sent[0])
        receipt = await receipt_of(house)
    assert (receipt.deployment, receipt.outcome) == ("beta/m", "ok")
    assert "local refuses this request; second refuses this request" in receipt.route


async def test_a_server_that_is_no_longer_there_is_passed_over():
    deployments = {
        **CATALOG.deployments,
        "left": msgspec.structs.replace(CATALOG.deployments["local"], server="left"),
    }
    catalog = msgspec.structs.replace(CATALOG, aliases={"all": ("left", "beta/m")}, deployments=deployments)
    async with ready() as house:
        house.gateway.use_catalog(catalog)
        ask(house, "all")
        serve(house.upstreams.sent[0])
        assert (await receipt_of(house)).deployment == "beta/m"
