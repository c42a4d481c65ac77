"""However a call ends, it ends once: one receipt, nothing left waiting, and the client knows."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freehold.core.servers import ServerState
from freehold.gateway import gateway, settle
from freehold.gateway.limits import Limits
from freehold.gateway.upstream import UpstreamConnection
from freehold.routing.fallback import Policy
from tests.gateway.calls import EVENTS, JSON, PATHS, STREAM, WHOLE, asking, turns
from tests.gateway.rooms import House, Sent, unchunked
from tests.gateway.test_sharing import Client
from tests.gateway.test_upstream import ASKED, Pool
from tests.gateway.wires import Transport


def act(house: House, sent: Sent, action: str) -> None:
    """What an upstream may do next, as far as it may; anything else is left out."""
    if sent.stage == "dialling":
        sent.fail("cannot connect to alpha:80: refused") if action == "cut" else sent.connect()
    elif sent.stage == "connected":
        begins = {"whole": (200, JSON), "stream": (200, EVENTS), "busy": (429, JSON), "wrong": (400, JSON)}
        if action == "cut":
            sent.fail()
        elif action in begins:
            status, headers = begins[action]
            sent.begin(status, headers)
            sent.kind, sent.left = (
                action,
                list(STREAM if action == "stream" else [json.dumps(WHOLE).encode()]),
            )
            if status >= 400:
                sent.left = [b'{"error":{"message":"no","type":"x","code":null}}']
    elif action == "cut":
        sent.fail()
    elif action == "flush":
        sent.flush()
    elif sent.left:
        piece = sent.left.pop(0)
        if action == "half" and len(piece) > 1:
            piece, rest = piece[: len(piece) // 2], piece[len(piece) // 2 :]
            sent.left.insert(0, rest)
        sent.say(piece)
        if action != "half" and not sent.over:
            sent.flush()
    else:
        sent.complete()


USUAL = ["whole", "stream", "whole", "stream", *["more"] * 8, "half", "flush"]
UNUSUAL = ["busy", "wrong", "cut", "expire", "leave", "slow", "fast", "lost"]
HAPPENINGS = st.sampled_from([*USUAL, *UNUSUAL, *["turn"] * 4, *["ready"] * 2])


@settings(deadline=None, max_examples=250)
@example("chat", "local-first", True, ["turn", "turn", "ready", "whole", "whole"])
@example("chat", "local", False, ["ready", "stream", *["whole"] * 4, "lost", "cut"])
@example("messages", "local-first", True, ["turn", "turn", "ready", "whole", "whole"])
@given(
    st.sampled_from(["chat", "messages", "responses"]),
    st.sampled_from(["two", "alpha/m", "local-first", "local"]),
    st.booleans(),
    st.lists(HAPPENINGS, max_size=40),
)
async def test_any_order_of_events_ends_in_one_receipt(dialect, model, stream, events):
    limits = Limits(first_sign_s=0.0, sign_of_life_s=0.0)
    async with House(limits=limits, policy=Policy(backoff_s=0.0)) as house:
        house.ask(PATHS[dialect], asking(dialect, model, stream=stream))
        for happening in events:
            await happens(house, happening)
            assert len(house.ledger.receipts) <= 1
            assert len(house.servers.in_flight) <= min(1, len(house.upstreams.open)), "a slot without a use"
            assert len(house.gateway.active) + len(house.ledger.receipts) <= 1
        while house.gateway.active:  # in the end everybody loses patience
            await happens(house, "lost")
            await happens(house, "cut")
            await happens(house, "turn")
        await happens(house, "turn")
        assert house.upstreams.open == []
        assert house.servers.waiting == 0
        assert house.servers.in_flight == []
        (receipt,) = house.ledger.receipts
        assert (receipt.outcome == "cancelled") <= house.gone
        if not house.gone:
            assert_told(house, receipt.outcome)
    assert len(house.ledger.receipts) == 1


async def happens(house: House, happening: str) -> None:
    if happening == "turn":
        await asyncio.sleep(0)
    elif happening == "expire":
        for call in list(house.gateway.active):
            if call.deadline_s:
                call.expire()
    elif happening in ("ready", "lost"):
        house.servers.become(ServerState.READY if happening == "ready" else ServerState.FAILED)
    elif house.gone:
        pass
    elif happening == "leave":
        house.leave()
    elif happening in ("slow", "fast"):
        (house.connection.pause_writing if happening == "slow" else house.connection.resume_writing)()
    for sent in house.upstreams.open[:1]:
        act(house, sent, happening)


def assert_told(house: House, outcome: str) -> None:
    """The client sees a whole answer, or sees that it is not whole."""
    if house.transport.ended == "abort":
        assert outcome == "truncated"
        return
    head, _, body = house.written.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if b"transfer-encoding: chunked" in head:
        body = unchunked(body)
    else:
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length: "))
        assert len(body) == int(length[16:])
    assert (status >= 400) <= (outcome in ("error", "refused"))
    assert body


# -- single stories


async def settled(house: House) -> Any:
    await turns()
    (receipt,) = house.ledger.receipts
    return receipt


async def test_the_receipt_is_there_before_the_last_byte():
    async with House() as house:
        house.ask("/v1/chat/completions", asking("chat", "alpha/m", stream=True))
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, EVENTS)
        for piece in STREAM[:-1]:
            sent.say(piece)
            sent.flush()
        assert house.ledger.receipts == []
        assert b"[DONE]" not in house.written
        sent.say(STREAM[-1])
        assert len(house.ledger.receipts) == 1
        sent.flush()
        assert b"[DONE]" in house.written
        sent.complete()
        receipt = await settled(house)
    assert (receipt.outcome, receipt.usage.fresh_in, receipt.usage.visible_out) == ("ok", 3, 1)
    assert receipt.response_bytes == len(house.answer[2])


async def test_usage_that_only_we_asked_for_is_not_passed_on():
    async with House() as house:
        house.ask("/v1/chat/completions", asking("chat", "alpha/m", stream=True))
        (sent,) = house.upstreams.sent
        assert json.loads(sent.body)["stream_options"] == {"include_usage": True}
        sent.connect()
        sent.begin(200, EVENTS)
        sent.say(b"".join(STREAM))
        sent.flush()
        sent.complete()
        await settled(house)
    assert house.answer[2] == b"".join((*STREAM[:3], STREAM[4]))


@pytest.mark.parametrize("read", [False, True])
async def test_calls_that_end_together_share_a_write_and_are_all_answered(read):
    """At the end of the turn, or before, when somebody is about to read the journal."""
    async with House() as house:
        clients = [Client(house) for _ in range(3)]
        for client in clients:
            client.ask()
        for sent in house.upstreams.open[:2]:
            sent.connect()
            sent.begin(200, JSON)
            sent.say(json.dumps(WHOLE).encode())
            sent.complete()
        assert house.ledger.receipts == []
        assert [client.written for client in clients] == [b""] * 3, (
            "nothing leaves before its receipt is there"
        )
        if read:
            house.gateway.write_down()
        else:
            await turns()
        assert len(house.ledger.receipts) == 2
        assert [json.loads(client.answer[2]) for client in clients[:2]] == [WHOLE] * 2
        clients[2].leave()


async def test_the_second_place_is_asked_when_the_first_is_busy():
    async with House() as house:
        house.ask("/v1/chat/completions", asking("chat", "two", stream=False))
        first = house.upstreams.sent[0]
        first.connect()
        first.begin(503, JSON)
        first.say(b"{}")
        first.complete()
        second = house.upstreams.sent[1]
        assert second.origin.host == "beta"
        second.connect()
        second.begin(200, JSON)
        second.say(json.dumps(WHOLE).encode())
        second.complete()
        receipt = await settled(house)
    assert [(one.deployment, one.status) for one in receipt.attempts] == [("alpha/m", 503), ("beta/m", 200)]
    assert house.answer[1]["x-freehold-deployment"] == "beta/m"
    assert "alpha/m failed" in house.answer[1]["x-freehold-route"]


async def test_no_place_is_tried_more_often_than_the_policy_says():
    async with House(policy=Policy(backoff_s=0.0, tries_per_deployment=3)) as house:
        house.ask("/v1/chat/completions", asking("chat", "alpha/m", stream=False))
        while house.upstreams.open:
            house.upstreams.open[0].fail("cannot connect to alpha:80: refused")
            await turns()
        receipt = await settled(house)
    assert (len(house.upstreams.sent), len(receipt.attempts), receipt.outcome) == (3, 3, "error")
    assert house.answer[0] == 502


async def test_a_client_that_leaves_stops_the_upstream_and_leaves_a_receipt():
    async with House() as house:
        house.ask("/v1/chat/completions", asking("chat", "alpha/m", stream=True))
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, EVENTS)
        sent.say(STREAM[0])
        sent.flush()
        house.leave()
        assert sent.stage == "abandoned"
        receipt = await settled(house)
    assert (receipt.outcome, receipt.status, receipt.usage_state) == ("cancelled", 200, "estimated")


@pytest.mark.parametrize("stage", ["dialling", "connected", "waiting for a server", "between two tries"])
async def test_a_client_that_leaves_early_leaves_nothing_behind(stage):
    async with House(policy=Policy(backoff_s=5.0)) as house:
        model = "local" if stage == "waiting for a server" else "alpha/m"
        house.ask("/v1/chat/completions", asking("chat", model, stream=False))
        if stage == "connected":
            house.upstreams.sent[0].connect()
        elif stage == "between two tries":
            house.upstreams.sent[0].fail("refused")
        house.leave()
        receipt = await settled(house)
        assert house.upstreams.open == []
        assert house.servers.waiting == 0
        assert house.servers.in_flight == []
    assert (receipt.outcome, receipt.status) == ("cancelled", 499)


async def test_a_slow_reader_holds_its_upstream():
    async with House() as house:
        house.ask("/v1/chat/completions", asking("chat", "alpha/m", stream=True))
        (sent,) = house.upstreams.sent
        sent.connect()
        house.connection.pause_writing()
        assert sent.paused
        house.connection.resume_writing()
        assert not sent.paused


async def test_a_stream_that_is_cut_ends_with_an_error_in_the_clients_dialect():
    async with House() as house:
        house.ask("/v1/messages", asking("messages", "alpha/m", stream=True))
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, EVENTS)
        sent.say(STREAM[0])
        sent.flush()
        sent.fail()
        receipt = await settled(house)
    assert receipt.outcome == "truncated"
    assert house.answer[2].rpartition(b"event: ")[2].startswith(b"error\n")


async def test_a_whole_answer_that_is_cut_is_seen_to_be_cut():
    async with House() as house:
        house.ask("/v1/embeddings", {"model": "alpha/m", "input": "x"})
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, JSON | {"content-length": "1000"})
        sent.say(b'{"data":')
        sent.flush()
        sent.fail()
        receipt = await settled(house)
    assert (receipt.outcome, house.transport.ended) == ("truncated", "abort")


async def test_when_receipts_cannot_be_stored_no_further_call_is_taken():
    async with House() as house:
        house.ledger.broken = True
        house.ask("/v1/chat/completions", {"model": "nobody"})
        house.transport.written.clear()
        house.ask("/v1/chat/completions", asking("chat", "alpha/m", stream=False))
        assert house.upstreams.sent == []
    status, _, body = house.answer
    assert (status, json.loads(body)["error"]["code"]) == (503, "ledger_unavailable")


async def test_a_stream_whose_body_breaks_behind_its_last_event_ends():
    """In one packet with it: what was said is given, and the client sees an end."""
    async with House() as house:
        house.ask(PATHS["chat"], asking("chat", "alpha/m", stream=True))
        (sent,) = house.upstreams.sent
        connection, said = UpstreamConnection(Pool(), sent.origin), b"".join(STREAM)
        connection.connection_made(Transport())
        connection.start(sent.answer, ASKED, reused=False)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.data_received(b"%b%x\r\n%b\r\nzz\r\n" % (head, len(said), said))
        await settled(house)
        assert house.answer[2].endswith(STREAM[-1])


async def test_an_end_that_never_comes_behind_the_last_event_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(settle, "_END_S", -1.0, raising=False)
    monkeypatch.setattr(gateway, "_SWEEP_S", 0.0)
    async with House() as house:
        house.servers.become(ServerState.READY)
        house.ask(PATHS["chat"], asking("chat", "local", stream=True))
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, EVENTS)
        for piece in STREAM:
            sent.say(piece)
            sent.flush()
        await settled(house)
        await turns()
        assert sent.stage == "abandoned"
        assert not house.servers.in_flight
        assert house.answer[2].endswith(STREAM[-1])


async def test_calls_are_taken_again_once_a_receipt_could_be_stored():
    async with House() as house:
        house.ledger.broken = True
        house.ask("/v1/chat/completions", {"model": "nobody"})
        house.ledger.broken = False
        house.ask("/v1/chat/completions", {"model": "nobody"})
        house.ask("/v1/chat/completions", asking("chat", "alpha/m", stream=False))
        assert len(house.upstreams.sent) == 1


async def test_the_house_can_be_left_while_a_control_stream_is_open():
    """A page of live events waits for its reader to leave; the end of the house is such a leaving."""
    opened = asyncio.Event()

    async def events(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        opened.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with asyncio.timeout(2):
        async with House(control=events) as house:
            house.ask("/api/v1/events", method="GET")
            await opened.wait()
    assert b"data: 1" in house.written
