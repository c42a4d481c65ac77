"""Equal calls under way have one upstream; a turn posted again goes on with the answer that is paid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.core.servers import ServerState
from freehold.gateway import call_state
from freehold.gateway.connection import ServerConnection
from freehold.gateway.sharing import Sharing
from freehold.receipts.entries import Receipt
from tests.gateway.calls import EVENTS, JSON, PATHS, STREAM, WHOLE, asking, turns
from tests.gateway.rooms import CATALOG, NOW_MS, House, Sent, unchunked
from tests.gateway.wires import Transport

S = {"x-freehold-session": "s1"}


class Client:
    """One of several clients of a house."""

    def __init__(self, house: House) -> None:
        self.transport = Transport()
        self.connection: ServerConnection = house.gateway.connection()
        self.connection.connection_made(self.transport)
        self._house = house

    def ask(
        self,
        *,
        stream: bool = False,
        model: str = "alpha/m",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        body = json.dumps(asking("chat", model, stream=stream) | {"temperature": 0} | more).encode()
        self.post(body, headers)

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        lines = [f"POST {PATHS['chat']} HTTP/1.1", "host: localhost", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.connection.data_received("\r\n".join((*lines, "", "")).encode() + body)

    def leave(self) -> None:
        self.connection.connection_lost(None)

    @property
    def written(self) -> bytes:
        return bytes(self.transport.written)

    @property
    def answer(self) -> tuple[int, dict[str, str], bytes]:
        head, _, body = self.written.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        if "chunked" in headers.get("transfer-encoding", ""):
            body = unchunked(body)
        return int(lines[0].split()[1]), headers, body


def sharing() -> House:
    house = House()
    house.gateway.sharing = Sharing()
    return house


def begin(sent: Sent, *pieces: bytes) -> None:
    sent.connect()
    sent.begin(200, EVENTS)
    for piece in pieces:
        sent.say(piece)
        sent.flush()


def go_on(sent: Sent, *pieces: bytes) -> None:
    for piece in pieces:
        sent.say(piece)
        sent.flush()
    sent.complete()


def whole(sent: Sent) -> None:
    sent.connect()
    sent.begin(200, JSON)
    sent.say(json.dumps(WHOLE).encode())
    sent.complete()


async def receipts_of(house: House, count: int) -> list[Receipt]:
    await turns()
    assert len(house.ledger.receipts) == count
    return house.ledger.receipts


# -- shared


@pytest.mark.parametrize("stream", [False, True])
async def test_equal_calls_under_way_have_one_upstream(stream: bool) -> None:
    async with sharing() as house:
        first, second = Client(house), Client(house)
        first.ask(stream=stream)
        second.ask(stream=stream)
        (sent,) = house.upstreams.sent
        if stream:
            begin(sent)
            go_on(sent, *STREAM)
        else:
            whole(sent)
        assert first.answer[2] == second.answer[2] != b""
        assert second.answer[1]["x-freehold-cache"] == "shared"
        assert second.answer[1]["content-type"] == first.answer[1]["content-type"]
        receipts = await receipts_of(house, 2)
        by_cache = {receipt.cached: receipt for receipt in receipts}
        assert set(by_cache) == {"", "shared"}
        shared, led = by_cache["shared"], by_cache[""]
        assert (shared.outcome, shared.cost_nanos, shared.cost_state) == ("ok", 0, "free")
        assert (shared.deployment, shared.usage, shared.attempts) == (led.deployment, led.usage, ())
        assert shared.saved_nanos == led.cost_nanos
        assert shared.id != led.id and led.id in shared.route


async def test_who_comes_late_gets_the_beginning_and_then_every_piece() -> None:
    async with sharing() as house:
        first, late = Client(house), Client(house)
        first.ask(stream=True)
        begin(house.upstreams.sent[0], *STREAM[:2])
        late.ask(stream=True)
        assert STREAM[0] in late.written and STREAM[1] in late.written
        house.upstreams.sent[0].say(STREAM[2])
        house.upstreams.sent[0].flush()
        assert STREAM[2] in late.written
        go_on(house.upstreams.sent[0], *STREAM[3:])
        assert late.answer[2] == first.answer[2]


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0.7},
        {"temperature": None},
        {"headers": {"x-freehold-project": "p"}},
        {"headers": {"x-freehold-cache": "off"}},
        {"headers": {"anthropic-beta": "b"}},
        {"stream": True},
        {"tools": [{"type": "function", "function": {"name": "pay"}}]},
        {"messages": [{"role": "user", "content": "ho"}]},
    ],
)
async def test_what_is_not_the_same_is_asked_apart(other: dict[str, Any]) -> None:
    async with sharing() as house:
        Client(house).ask()
        Client(house).ask(**other)
        assert len(house.upstreams.sent) == 2


@pytest.mark.parametrize(
    "alike",
    [{"temperature": 0.7}, {"tools": [{"type": "function", "function": {"name": "pay"}}]}, {"store": True}],
)
async def test_dice_and_tools_are_never_shared(alike: dict[str, Any]) -> None:
    async with sharing() as house:
        for _ in range(2):
            Client(house).ask(**alike)
        assert len(house.upstreams.sent) == 2


async def test_the_order_of_keys_does_not_matter() -> None:
    async with sharing() as house:
        document = asking("chat", "alpha/m", stream=False) | {"temperature": 0}
        Client(house).post(json.dumps(document).encode())
        Client(house).post(json.dumps(dict(reversed(document.items()))).encode())
        assert len(house.upstreams.sent) == 1


async def test_a_leader_that_leaves_takes_nobody_with_it() -> None:
    async with sharing() as house:
        first, second = Client(house), Client(house)
        first.ask(stream=True)
        second.ask(stream=True)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        assert not house.upstreams.sent[0].over
        go_on(house.upstreams.sent[0], *STREAM[1:])
        assert b"[DONE]" in second.answer[2]
        receipts = {receipt.cached: receipt for receipt in await receipts_of(house, 2)}
        assert (receipts[""].outcome, receipts[""].usage_state) == ("cancelled", "reported")
        assert receipts["shared"].outcome == "ok"


async def test_when_all_have_left_the_upstream_is_stopped() -> None:
    async with sharing() as house:
        clients = [Client(house) for _ in range(3)]
        for client in clients:
            client.ask(stream=True)
        begin(house.upstreams.sent[0], STREAM[0])
        for client in clients:
            assert not house.upstreams.sent[0].over
            client.leave()
        assert house.upstreams.sent[0].stage == "abandoned"
        assert [receipt.outcome for receipt in await receipts_of(house, 3)] == ["cancelled"] * 3


async def test_a_slow_follower_holds_up_nobody_and_gets_all() -> None:
    async with sharing() as house:
        first, slow = Client(house), Client(house)
        first.ask(stream=True)
        slow.ask(stream=True)
        begin(house.upstreams.sent[0], STREAM[0])
        slow.connection.pause_writing()
        house.upstreams.sent[0].say(STREAM[1])
        house.upstreams.sent[0].flush()
        assert not house.upstreams.sent[0].paused
        assert STREAM[1] in first.written and STREAM[1] not in slow.written
        slow.connection.resume_writing()
        assert STREAM[1] in slow.written
        slow.connection.pause_writing()
        go_on(house.upstreams.sent[0], *STREAM[2:])
        assert slow.answer[2] == first.answer[2]


async def test_a_refusal_that_would_come_again_is_shared() -> None:
    async with sharing() as house:
        first, second = Client(house), Client(house)
        first.ask()
        second.ask()
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(400, JSON)
        sent.say(b'{"error":{"message":"no such parameter"}}')
        sent.complete()
        assert first.answer[0] == second.answer[0] == 400
        assert first.answer[2] == second.answer[2]
        assert len(house.upstreams.sent) == 1


async def test_after_any_other_failure_each_asks_again_with_one_upstream_together() -> None:
    async with sharing() as house:
        clients = [Client(house) for _ in range(3)]
        for client in clients:
            client.ask()
        sent = house.upstreams.sent[0]
        sent.connect()
        sent.begin(401, JSON)
        sent.say(b'{"error":{"message":"who are you?"}}')
        sent.complete()
        assert clients[0].answer[0] == 401
        assert len(house.upstreams.sent) == 2, "two are left, who share the next one"
        whole(house.upstreams.sent[1])
        assert [client.answer[0] for client in clients[1:]] == [200, 200]
        assert sorted(receipt.cached for receipt in await receipts_of(house, 3)) == ["", "", "shared"]


async def test_a_stream_that_breaks_is_told_to_all_who_have_its_beginning() -> None:
    async with sharing() as house:
        first, second = Client(house), Client(house)
        first.ask(stream=True)
        second.ask(stream=True)
        begin(house.upstreams.sent[0], STREAM[0])
        house.upstreams.sent[0].fail()
        assert b'"error"' in first.answer[2] and b'"error"' in second.answer[2]
        assert [receipt.outcome for receipt in await receipts_of(house, 2)] == ["truncated"] * 2


async def test_what_is_too_large_to_be_recorded_is_no_whole_answer_for_followers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_state, "CAPTURE_BYTES", len(STREAM[0]))
    async with sharing() as house:
        first, second = Client(house), Client(house)
        first.ask(stream=True)
        second.ask(stream=True)
        begin(house.upstreams.sent[0], STREAM[0], STREAM[1])
        assert second.transport.ended == "abort"
        go_on(house.upstreams.sent[0], *STREAM[2:])
        assert b"[DONE]" in first.answer[2]
        outcomes = [receipt.outcome for receipt in await receipts_of(house, 2)]
        assert sorted(outcomes) == ["ok", "truncated"]


async def test_who_cannot_wait_for_the_other_asks_for_itself() -> None:
    async with sharing() as house:
        Client(house).ask()
        hurried = Client(house)
        hurried.ask(headers={"x-freehold-deadline-s": "0"})
        assert len(house.upstreams.sent) == 1
        call = next(call for call in house.gateway.active if call.following is not None)
        assert call.deadline_s > 0
        call.expire()
        assert len(house.upstreams.sent) == 2
        whole(house.upstreams.sent[1])
        await turns()
        assert hurried.answer[0] == 200


# -- the same turn again


async def test_a_turn_posted_again_goes_on_with_the_answer_under_way() -> None:
    async with sharing() as house:
        first, again = Client(house), Client(house)
        first.ask(stream=True, temperature=1, headers=S)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        again.ask(stream=True, temperature=1, headers=S)
        assert STREAM[0] in again.written
        go_on(house.upstreams.sent[0], *STREAM[1:])
        assert again.answer[2].startswith(STREAM[0]) and again.answer[2].endswith(b"[DONE]\n\n")
        assert again.answer[1]["x-freehold-cache"] == "resumed"
        assert len(house.upstreams.sent) == 1
        receipts = {receipt.cached: receipt for receipt in await receipts_of(house, 2)}
        assert (receipts["resumed"].outcome, receipts["resumed"].cost_state) == ("ok", "free")
        assert receipts[""].outcome == "cancelled"


@pytest.mark.parametrize("ended", [False, True])
async def test_a_turn_posted_again_without_streaming_gets_the_stream_as_one_answer(ended: bool) -> None:
    async with sharing() as house:
        first, again = Client(house), Client(house)
        first.ask(stream=True, temperature=1, headers=S)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        if ended:
            go_on(house.upstreams.sent[0], *STREAM[1:])
        again.ask(temperature=1, headers=S)
        if not ended:
            assert again.written == b""
            go_on(house.upstreams.sent[0], *STREAM[1:])
        status, headers, body = again.answer
        answer = json.loads(body)
        assert (status, headers["content-type"]) == (200, "application/json")
        assert answer["choices"][0]["message"]["content"] == "hi"
        assert answer["usage"]["completion_tokens"] == 1
        assert len(house.upstreams.sent) == 1


@pytest.mark.parametrize("other", [{"headers": {"x-freehold-session": "s2"}}, {"max_tokens": 8}])
async def test_another_session_or_turn_is_another_call(other: dict[str, Any]) -> None:
    async with sharing() as house:
        first = Client(house)
        first.ask(stream=True, temperature=1, headers=S)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        Client(house).ask(**{"stream": True, "temperature": 1, "headers": S} | other)
        assert len(house.upstreams.sent) == 2


async def test_a_client_without_a_session_stops_its_upstream_when_it_leaves() -> None:
    async with sharing() as house:
        first = Client(house)
        first.ask(stream=True, temperature=1)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        assert house.upstreams.sent[0].stage == "abandoned"


async def test_an_answer_that_nobody_comes_back_for_is_stopped() -> None:
    async with sharing() as house:
        first = Client(house)
        first.ask(stream=True, temperature=1, headers=S)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        assert house.gateway.sharing is not None
        for orphan in house.gateway.sharing.retries.due(NOW_MS + 60_000):
            orphan.flight.leader.nobody_waits()
        assert house.upstreams.sent[0].stage == "abandoned"
        (receipt,) = await receipts_of(house, 1)
        assert (receipt.outcome, receipt.usage_state) == ("cancelled", "estimated")


async def test_a_third_client_may_come_after_the_second_has_left_too() -> None:
    async with sharing() as house:
        for _ in range(3):
            client = Client(house)
            client.ask(stream=True, temperature=1, headers=S)
            if house.upstreams.sent[0].stage == "dialling":
                begin(house.upstreams.sent[0], STREAM[0])
            client.leave()
        assert len(house.upstreams.sent) == 1
        last = Client(house)
        last.ask(stream=True, temperature=1, headers=S)
        go_on(house.upstreams.sent[0], *STREAM[1:])
        assert b"[DONE]" in last.answer[2]
        outcomes = [receipt.outcome for receipt in await receipts_of(house, 4)]
        assert sorted(outcomes) == ["cancelled", "cancelled", "cancelled", "ok"]


async def test_an_answer_for_nobody_makes_room_for_who_waits() -> None:
    async with sharing() as house:
        house.servers.limit(1)
        house.servers.become(ServerState.READY)
        first, other = Client(house), Client(house)
        first.ask(stream=True, model="local", headers=S, temperature=1)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        assert not house.upstreams.sent[0].over
        other.ask(model="local", messages=[{"role": "user", "content": "something else"}])
        await turns()
        assert house.gateway.sharing is not None
        house.gateway.sharing.sweep(house.gateway)
        assert house.upstreams.sent[0].stage == "abandoned"
        await turns()
        assert len(house.upstreams.sent) == 2


async def test_a_house_that_closes_leaves_no_answer_without_a_receipt() -> None:
    house = sharing()
    async with house:
        first = Client(house)
        first.ask(stream=True, temperature=1, headers=S)
        begin(house.upstreams.sent[0], STREAM[0])
        first.leave()
        assert "alpha/m" in CATALOG.deployments
    (receipt,) = house.ledger.receipts
    assert receipt.outcome == "cancelled"
