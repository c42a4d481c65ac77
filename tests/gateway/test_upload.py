"""Forms with files are streamed through: only their beginning is held, to find the model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.gateway.limits import Limits
from tests.gateway.calls import JSON, turns
from tests.gateway.rooms import House, Sent, unchunked
from tests.gateway.test_lease import free, occupy, ready
from tests.gateway.wires import cut
from tests.talk import BOUNDARY, upload

PATH = "/v1/audio/transcriptions"


def head(body: bytes, *, chunked: bool = False) -> bytes:
    framing = "transfer-encoding: chunked" if chunked else f"content-length: {len(body)}"
    kind = f"content-type: multipart/form-data; boundary={BOUNDARY}"
    return "\r\n".join((f"POST {PATH} HTTP/1.1", "host: localhost", kind, framing, "", "")).encode()


def in_chunks(pieces: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def send(house: House, *pieces: bytes) -> None:
    for piece in pieces:
        house.connection.data_received(piece)


def length_of(sent: Sent) -> int:
    (line,) = [line for line in sent.head if line.startswith(b"content-length: ")]
    return int(line[16:])


CUTS = st.lists(st.integers(0, 5000), max_size=10)


@given(st.binary(max_size=300), st.booleans(), st.booleans(), CUTS)
async def test_any_pieces_reach_the_upstream_whole_with_the_model_renamed(content, chunked, model_last, cuts):
    body = upload("two", content, model_last=model_last)
    async with House() as house:
        framed = in_chunks(cut(body, cuts)) if chunked else body
        for piece in cut(head(body, chunked=chunked) + framed, cuts):
            send(house, piece)
            for sent in house.upstreams.open:
                if sent.stage == "dialling":
                    sent.connect()
        (sent,) = house.upstreams.sent
        expected = upload("m", content, model_last=model_last)
        if chunked:
            assert unchunked(sent.body) == expected
        else:
            assert (sent.body, length_of(sent)) == (expected, len(expected))
        sent.begin(200, JSON)
        sent.say(b'{"text":"hi"}')
        sent.complete()
        await turns()
        (receipt,) = house.ledger.receipts
    assert (receipt.outcome, receipt.request_bytes, receipt.model_asked) == ("ok", len(body), "two")
    assert house.answer[0] == 200


async def test_the_upstream_gets_the_first_bytes_while_the_last_are_still_to_come():
    body = upload("alpha/m", b"x" * 10_000)
    async with House() as house:
        send(house, head(body), body[:500])
        (sent,) = house.upstreams.open
        sent.connect()
        assert len(sent.body) > 400
        before = len(sent.body)
        send(house, body[500:600])
        assert len(sent.body) == before + 100


async def test_a_slow_upstream_holds_the_client():
    limits = Limits(upload_head_bytes=1000)
    body = upload("alpha/m", b"x" * 10_000)
    async with House(limits=limits) as house:
        send(house, head(body), body[:500], body[500:3000])
        assert not house.transport.reading, "enough is held for a place that does not answer its door"
        (sent,) = house.upstreams.open
        sent.connect()
        assert house.transport.reading
        sent.answer.writable(False)
        assert not house.transport.reading
        sent.answer.writable(True)
        assert house.transport.reading


async def test_without_a_model_near_the_beginning_the_default_provider_is_asked():
    body = upload("alpha/m", b"x" * 5000, model_last=True)
    async with House(limits=Limits(upload_head_bytes=1000)) as house:
        send(house, head(body), body[:3000], body[3000:])
        (sent,) = house.upstreams.open
        sent.connect()
        assert sent.origin.host == "alpha"
        assert sent.body == body


@pytest.mark.parametrize("model", ["claude/m", "nobody"])
async def test_what_cannot_be_sent_is_refused_and_the_rest_of_it_not_read(model):
    body = upload(model, b"x" * 5000)
    async with House() as house:
        send(house, head(body), body[:1000])
        await turns()
        assert house.upstreams.sent == []
        assert house.transport.half_closed
        (receipt,) = house.ledger.receipts
    assert house.answer[0] == {"claude/m": 501, "nobody": 404}[model]
    assert receipt.outcome == "refused"


async def test_an_upload_is_never_sent_twice():
    body = upload("two", b"x" * 100)
    async with House() as house:
        send(house, head(body), body)
        (sent,) = house.upstreams.open
        sent.connect()
        sent.fail()
        await turns()
        assert len(house.upstreams.sent) == 1
    assert house.answer[0] == 502


async def test_a_client_that_leaves_in_the_middle_stops_the_upstream():
    body = upload("alpha/m", b"x" * 5000)
    async with House() as house:
        send(house, head(body), body[:1000])
        (sent,) = house.upstreams.open
        sent.connect()
        house.leave()
        assert sent.stage == "abandoned"
        await turns()
        (receipt,) = house.ledger.receipts
    assert (receipt.outcome, receipt.request_bytes) == ("cancelled", 1000)


async def test_an_upload_that_turns_out_too_large_is_refused_in_words():
    body = upload("alpha/m", b"x" * 5000)
    async with House(limits=Limits(upload_bytes=3000)) as house:
        send(house, head(body, chunked=True))
        send(house, *(in_chunks([piece])[:-5] for piece in cut(body, [1000, 2000, 4000])))
        await turns()
        assert house.upstreams.open == []
        (receipt,) = house.ledger.receipts
    assert (house.answer[0], receipt.status) == (413, 413)


@pytest.mark.parametrize("cuts", [[], [500], [500, 3000]])
async def test_an_upload_in_chunks_that_waits_for_a_slot_goes_whole(cuts: list[int]) -> None:
    body = upload("local", b"x" * 5000)
    async with ready() as house:
        occupy(house)
        send(house, head(body, chunked=True))
        send(house, *(in_chunks([piece])[:-5] for piece in cut(body, cuts)), b"0\r\n\r\n")
        await turns()
        free(house)
        await turns()
        (sent,) = house.upstreams.open
        sent.connect()
        assert unchunked(sent.body) == body
