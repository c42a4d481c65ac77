"""A call waits for its model server: the client sees signs of life in its own dialect, or is held."""

from __future__ import annotations

import hashlib
import json

import pytest

from freehold.core.servers import ServerState
from freehold.gateway.limits import Limits
from tests.gateway.calls import EVENTS, JSON, PATHS, STREAM, WHOLE, asking, turns, until
from tests.gateway.rooms import House

EAGER = Limits(first_sign_s=0.0, sign_of_life_s=0.0)
"""Signs as fast as the loop turns."""
PATIENT = Limits(first_sign_s=60.0, sign_of_life_s=60.0)


async def signs(house: House, bytes_more: int = 1) -> bytes:
    """Wait for at least so many bytes of signs."""
    enough = len(house.written) + bytes_more
    await until(lambda: len(house.written) >= enough)
    return house.written


def serve(house: House, *pieces: bytes) -> None:
    (sent,) = house.upstreams.sent
    sent.connect()
    sent.begin(200, EVENTS if pieces else JSON)
    for piece in pieces or (json.dumps(WHOLE).encode(),):
        sent.say(piece)
        sent.flush()
    sent.complete()


@pytest.mark.parametrize(
    ("dialect", "first", "later"),
    [
        ("chat", b": ", b": "),
        ("messages", b"event: ping\n", b"event: ping\n"),
        ("responses", b"event: response.created\n", b"event: response.in_progress\n"),
    ],
)
async def test_a_stream_shows_signs_of_life_while_its_server_loads(dialect, first, later):
    async with House(limits=EAGER) as house:
        house.ask(PATHS[dialect], asking(dialect, "local", stream=True))
        assert house.servers.asked == ["local"]
        opened = await signs(house)
        await signs(house, 200)
        head, _, body = opened.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"waiting for a model server" in head
        assert body.partition(b"\r\n")[2].startswith(first)
        assert later in house.written[len(opened) :]
        house.servers.become(ServerState.READY)
        serve(house, *STREAM)
        await turns()
        (receipt,) = house.ledger.receipts
        status, _, said = house.answer
    assert (status, receipt.outcome, receipt.server) == (200, "ok", "local")
    assert house.written.count(b"HTTP/1.1") == 1
    assert receipt.response_bytes == len(said)
    assert receipt.response_commitment == hashlib.sha256(f"{receipt.id}/response".encode() + said).hexdigest()


async def test_numbers_of_a_responses_stream_go_on_behind_the_signs():
    async with House(limits=EAGER) as house:
        house.ask("/v1/responses", asking("responses", "local", stream=True))
        await signs(house, 500)
        house.servers.become(ServerState.READY)
        serve(house, *STREAM)
        await turns()
        events = [line for line in house.answer[2].split(b"\n") if line.startswith(b"data: ")]
    numbered = [json.loads(line[6:]) for line in events]
    assert [one["sequence_number"] for one in numbered] == list(range(len(numbered)))
    assert len({one["response"]["id"] for one in numbered if "response" in one}) == 1


@pytest.mark.parametrize("dialect", ["chat", "messages", "responses"])
async def test_a_server_that_is_lost_after_a_sign_ends_the_stream_honestly(dialect):
    async with House(limits=EAGER) as house:
        house.ask(PATHS[dialect], asking(dialect, "local", stream=True))
        await signs(house)
        house.servers.become(ServerState.FAILED)
        await turns()
        (receipt,) = house.ledger.receipts
        status, _, said = house.answer
    last = said.rstrip().rpartition(b"\n\n")[2]
    assert b"model server 'local' has failed" in last
    assert (status, receipt.status, receipt.outcome) == (200, 200, "refused")
    assert receipt.response_bytes == len(said)


@pytest.mark.parametrize("dialect", ["chat", "messages"])
async def test_a_whole_answer_behind_signs_of_life_keeps_the_stream_a_stream(dialect):
    """An upstream that was asked to stream and does not: the head is out, no second one can come."""
    async with House(limits=EAGER) as house:
        house.ask(PATHS[dialect], asking(dialect, "local", stream=True))
        await signs(house)
        house.servers.become(ServerState.READY)
        (sent,) = house.upstreams.sent
        sent.connect()
        sent.begin(200, JSON)
        if not sent.over:
            sent.say(json.dumps(WHOLE).encode())
            sent.flush()
            sent.complete()
        await turns()
        assert house.answer[0] == 200
    assert house.written.count(b"HTTP/1.1") == 1
    assert len(house.ledger.receipts) == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_server_that_is_lost_before_any_sign_is_a_503(stream):
    async with House(limits=PATIENT) as house:
        house.ask("/v1/chat/completions", asking("chat", "local", stream=stream))
        house.servers.become(ServerState.FAILED)
        await turns()
        status, _, body = house.answer
    assert status == 503
    assert json.loads(body)["error"]["source"] == "freehold"


async def test_a_client_that_wants_no_stream_is_held_in_silence():
    async with House(limits=EAGER) as house:
        house.ask("/v1/chat/completions", asking("chat", "local", stream=False))
        await turns()
        assert house.written == b""
        house.servers.become(ServerState.READY)
        serve(house)
        await turns()
        assert json.loads(house.answer[2])["choices"][0]["message"]["content"] == "hi"


async def test_another_place_answers_when_the_server_is_lost():
    async with House(limits=PATIENT) as house:
        house.ask("/v1/chat/completions", asking("chat", "local-first", stream=False))
        house.servers.become(ServerState.FAILED)
        serve(house)
        await turns()
        (receipt,) = house.ledger.receipts
    assert (receipt.outcome, receipt.deployment) == ("ok", "beta/m")


async def test_a_server_that_never_gets_ready_is_not_waited_for_for_ever():
    async with House(limits=PATIENT) as house:
        house.ask("/v1/chat/completions", asking("chat", "local", stream=True))
        (call,) = house.gateway.active
        assert call.deadline_s > 0
        call.expire()
        await turns()
        status, headers, _ = house.answer
        assert house.servers.waiting == 0
    assert status == 503
    assert int(headers["retry-after"]) > 0


async def test_a_server_that_has_failed_for_good_is_not_waited_for():
    async with House() as house:
        house.servers.become(ServerState.FAILED)
        house.ask("/v1/chat/completions", asking("chat", "local", stream=True))
        await turns()
        assert house.answer[0] == 503
        assert house.servers.asked == []
