"""Where a request ends must not be a matter of opinion (RFC 9112 §5-7, §11.2): what is unclear is refused."""

from __future__ import annotations

import json

import pytest

from tests.talk import PATHS, asking
from tests.wire import ClosedError, request_bytes

SMUGGLED = b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


def post(*headers: bytes, body: bytes = b"", line: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    return b"\r\n".join((line, b"host: 127.0.0.1", *headers)) + b"\r\n\r\n" + body


def refused(door, data: bytes, *statuses: int) -> None:
    """An answer of one of the statuses and the end of the connection; nothing more is taken from it."""
    with door.wire() as wire:
        wire.send_or_closed(data + SMUGGLED)
        answer = wire.answer()
        assert answer.status in (statuses or (400,)), answer
        assert (answer.header("connection") or "").lower() == "close"
        assert wire.at_end(), "what follows an unclear request must not be answered"
    assert door.upstream.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        (b"content-length: 5", b"transfer-encoding: chunked"),
        (b"transfer-encoding: chunked", b"content-length: 5"),
        (b"content-length: 5", b"content-length: 6"),
        (b"content-length: 5, 6",),
        (b"content-length: -1",),
        (b"content-length: +5",),
        (b"content-length: 0x5",),
        (b"content-length: 5 5",),
        (b"content-length:",),
        (b"content-length: 99999999999999999999999999",),
        (b"transfer-encoding: chunked, chunked",),
        (b"transfer-encoding: chunked, identity",),
        (b"transfer-encoding: xchunked",),
        (b"transfer-encoding: gzip, chunked",),
        (b"transfer-encoding: chunked", b"transfer-encoding: identity"),
        (b"transfer-encoding: \x0bchunked",),
    ],
    ids=lambda headers: b" + ".join(headers).decode("latin-1"),
)
def test_unclear_lengths_are_refused(door, headers):
    refused(door, post(*headers, body=b"5\r\nhello\r\n0\r\n\r\n"), 400, 411, 413, 501)


@pytest.mark.parametrize(
    "body",
    [
        b"g\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"4\r\nhello\r\n0\r\n\r\n",
        b"6\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\n0\n\n",
        b"5\r\nhello\n0\r\n\r\n",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_bad_chunks_are_refused(door, body):
    refused(door, post(b"transfer-encoding: chunked", body=body), 400, 413, 431)


def test_chunk_extensions_and_trailers_are_read_and_dropped(door, model):
    body = json.dumps(asking("chat", f"alpha/{model}")).encode()
    framed = b'%x;name=value;q="a b"\r\n%s\r\n0\r\nx-trailer: mine\r\n\r\n' % (
        len(body),
        body,
    )
    with door.wire() as wire:
        assert wire.send(post(b"transfer-encoding: chunked", body=framed)).answer().status == 200
        assert wire.call("/health").status == 200
    seen = door.upstream.wait_for(1)[0]
    assert json.loads(seen.body) == asking("chat", model)
    assert seen.header("x-trailer") is None


def test_a_trailer_that_speaks_of_framing_changes_nothing(door, model):
    """RFC 9110 §6.5.1: a length in a trailer comes too late; refused or ignored, never believed."""
    body = json.dumps(asking("chat", f"alpha/{model}")).encode()
    framed = b"%x\r\n%s\r\n0\r\ncontent-length: 300\r\ntransfer-encoding: x\r\n\r\n" % (len(body), body)
    with door.wire() as wire:
        answer = wire.send(post(b"transfer-encoding: chunked", body=framed)).answer()
        assert answer.status in (200, 400)
        assert wire.at_end() if answer.status == 400 else wire.call("/health").status == 200


def test_chunk_extensions_without_end_are_not_read_for_ever(door):
    """They are no body, so a bound on bodies does not see them."""
    with door.wire() as wire:
        wire.send(post(b"transfer-encoding: chunked", body=b"5;"))
        for _ in range(80):
            wire.send_or_closed(b"x" * 65536)
        try:
            assert wire.answer().status in (400, 408, 413, 431)
        except ClosedError:
            return


@pytest.mark.parametrize(
    "head",
    [
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx-folded: a\r\n b\r\n\r\n",
        b"GET /health HTTP/1.1\nhost: 127.0.0.1\n\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\nx: y\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost : 127.0.0.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length : 5\r\n\r\nhello",
        b"GET /health HTTP/1.1\r\n host: 127.0.0.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\x00b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\rb\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nx\x00: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nno colon\r\n\r\n",
        b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\nh\xc3\xa9: a\r\n\r\n",
        b"GET /hea lth HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET /health\x00 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET /health HTTP/2.0\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET /health HTTP/1.10\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET /health XTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET\t/health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=repr,
)
def test_malformed_heads_are_refused(door, head):
    refused(door, head, 400, 505)


def test_pipelined_requests_are_answered_in_order(door, model):
    first = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}", stream=True))
    second = request_bytes("/health")
    third = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}"))
    with door.wire() as wire:
        wire.send(first + second + third + second)
        assert b"[DONE]" in wire.answer().body
        assert b"choices" not in wire.answer().body
        assert wire.answer().json()["object"] == "chat.completion"
        assert wire.answer().status == 200
    assert len(door.house.new_receipts()) == 2


def test_a_flood_of_pipelined_requests_is_held_back_not_hoarded(door, model):
    import contextlib

    from freehold.testing.standin import Behaviour

    door.upstream.by_model[model] = Behaviour(hold_head="h")
    before = door.house.memory_bytes()
    one = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}", text="x" * 90_000))
    with door.wire() as wire:
        wire.socket.settimeout(0.3)
        with contextlib.suppress(OSError):
            for _ in range(400):
                wire.send(one)
        assert door.house.memory_bytes() - before < 12_000_000
        assert len(door.upstream.seen) <= 1
    door.upstream.gate("h").open()


@pytest.mark.parametrize("size", [1, 2, 7])
def test_requests_in_tiny_pieces_are_the_same_requests(door, model, size):
    data = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}"))
    with door.wire() as wire:
        for at in range(0, len(data), size):
            wire.send(data[at : at + size])
        assert wire.answer().status == 200


def test_a_body_nobody_asked_for_is_read_away(door):
    with door.wire() as wire:
        wire.send(request_bytes("/health", b"x" * 5000, method="GET"))
        assert wire.answer().status == 200
        assert wire.call("/health").status == 200


def test_a_line_end_before_a_request_is_forgiven(door):
    """RFC 9112 §2.2: a server should ignore at least one empty line before the request line."""
    with door.wire() as wire:
        assert wire.call("/health").status == 200
        wire.send(b"\r\n" + request_bytes("/health"))
        assert wire.answer().status == 200


def test_trailing_garbage_after_a_request_does_not_harm_its_answer(door, model):
    with door.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}")) + b"\x00garbage\r\n\r\n")
        assert wire.answer().status == 200
        try:
            assert wire.answer().status == 400
        except ClosedError:
            return
        assert wire.at_end()
