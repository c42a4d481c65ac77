"""An upstream is not trusted either: its framing must be clear, its head small, its headers clean."""

from __future__ import annotations

import gzip

import pytest

from freehold.testing.standin import Behaviour
from tests.talk import PATHS, asking, error_of
from tests.wire import ClosedError, request_bytes

OK = b'{"id":"x","object":"chat.completion","choices":[]}'


def raw(*headers: bytes, body: bytes = OK, status: bytes = b"HTTP/1.1 200 OK") -> Behaviour:
    lines = (status, b"content-type: application/json", *headers)
    return Behaviour(raw=b"\r\n".join(lines) + b"\r\n\r\n" + body)


LENGTH = b"content-length: %d" % len(OK)
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(OK), OK)


@pytest.mark.parametrize(
    "told",
    [
        raw(LENGTH, b"transfer-encoding: chunked", body=CHUNKED),
        raw(b"transfer-encoding: chunked", LENGTH, body=CHUNKED),
        raw(LENGTH, b"content-length: 3"),
        raw(b"content-length: -3"),
        raw(b"content-length: 3, 4"),
        raw(LENGTH, b"x-split : 1"),
        raw(LENGTH, b"x-folded: a\r\n b"),
        raw(LENGTH, b"x-nul: a\x00b"),
        raw(LENGTH, b"x-cr: a\rset-cookie: b"),
        raw(LENGTH, status=b"HTTP/1.1 2000 OK"),
        raw(LENGTH, status=b"HTTP/3 200 OK"),
        raw(LENGTH, *[b"x-%d: y" % number for number in range(5000)]),
        raw(LENGTH, b"x-big: " + b"x" * 1_000_000),
        Behaviour(raw=b"\x00\x01\x02\x03" * 100),
        Behaviour(raw=b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    ],
    ids=lambda told: repr(told.raw[:120]),
)
def test_an_unclear_answer_is_a_bad_gateway(door, model, told):
    door.upstream.by_model[model] = told
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
        assert answer.status in (502, 503)
        error_of("chat", answer)
        assert wire.call("/health").status == 200
    assert door.house.receipt().outcome == "error"


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n", b"-1\r\nx\r\n0\r\n\r\n"]
)
def test_bad_chunks_of_an_upstream_end_the_answer_visibly(door, model, chunk):
    door.upstream.by_model[model] = raw(b"transfer-encoding: chunked", body=chunk)
    with door.wire() as wire:
        try:
            answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
            assert answer.status == 502
        except ClosedError:
            pass
    assert door.house.receipt().outcome in ("error", "truncated")


def test_bytes_after_an_answer_never_reach_the_next_caller(door, model):
    """Response smuggling: what an upstream sends unasked on a kept connection belongs to nobody."""
    poison = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + LENGTH + b"\r\n\r\n"
    door.upstream.script(Behaviour(raw=head + OK + poison))
    with door.wire() as wire:
        assert wire.call(PATHS["chat"], asking("chat", f"alpha/{model}")).body == OK
        for _ in range(3):
            assert b"poison" not in wire.call(PATHS["chat"], asking("chat", f"alpha/{model}")).body


def test_interim_answers_are_skipped(door, model):
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + LENGTH + b"\r\n\r\n" + OK
    door.upstream.script(Behaviour(raw=interim + whole))
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
    assert (answer.status, answer.body) == (200, OK)


def test_an_answer_before_the_request_is_whole_is_passed_on(door, model):
    door.upstream.by_model[model] = Behaviour(early=True, status=400)
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}", text="x" * 90_000))
    assert answer.status == 400


def test_an_upstream_cannot_speak_in_our_name(door, model):
    """`x-freehold-*` and `set-cookie` of an upstream are not ours to repeat."""
    said = {"x-freehold-receipt": "forged", "x-freehold-route": "forged", "set-cookie": "a=b"}
    door.upstream.script(Behaviour(headers=said))
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
    assert answer.header("x-freehold-receipt") == door.house.receipt().id
    assert answer.header("x-freehold-route") != "forged"
    assert answer.header("set-cookie") is None


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_by_definition_has_none(door, model, status):
    door.upstream.script(raw(status=b"HTTP/1.1 %d X" % status, body=b""))
    with door.wire() as wire:
        wire.send(request_bytes("/v1/relayed", {"model": f"alpha/{model}"}))
        assert wire.answer().status == status
        assert wire.call("/health").status == 200


def test_redirects_are_not_followed(door, model):
    door.upstream.script(raw(b"location: http://169.254.169.254/", LENGTH, status=b"HTTP/1.1 302 Found"))
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
    assert answer.status in (302, 502)
    assert len(door.upstream.seen) == 1


def test_an_endless_head_is_not_held(door, model):
    door.upstream.by_model[model] = Behaviour(raw=b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 30_000_000)
    before = door.house.memory_bytes()
    with door.wire() as wire:
        assert wire.call(PATHS["chat"], asking("chat", f"alpha/{model}")).status in (502, 503)
    assert door.house.memory_bytes() - before < 8_000_000


BIG = Behaviour(pieces=("x" * 1_000_000, "end"))


def test_an_answer_too_big_to_translate_is_refused_in_order(door, model):
    door.upstream.by_model[model] = BIG
    before = door.house.memory_bytes()
    with door.wire() as wire:
        answer = wire.call(PATHS["messages"], asking("messages", f"alpha/{model}"))
    assert answer.status == 502
    error_of("messages", answer)
    assert door.house.receipt().outcome == "error"
    assert door.house.memory_bytes() - before < 8_000_000
    assert len(door.upstream.seen) == 1, "it would be as big the next time, and paid again"


def test_an_event_too_big_to_translate_ends_the_stream_in_order(door, model):
    door.upstream.by_model[model] = Behaviour(pieces=("fine", "x" * 34_000_000))
    with door.wire() as wire:
        answer = wire.call(PATHS["messages"], asking("messages", f"alpha/{model}", stream=True))
    assert b"fine" in answer.body
    assert b"event: error" in answer.body[-2000:]
    assert door.house.receipt().outcome == "truncated"


def test_an_answer_of_any_size_passes_where_nothing_is_translated(door, model):
    door.upstream.script(BIG, BIG)
    with door.wire() as wire:
        whole = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
        assert len(whole.body) > 1_000_000
        streamed = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}", stream=True))
        assert b"x" * 1_000_000 in streamed.body
        assert b"[DONE]" in streamed.body
    assert [receipt.outcome for receipt in door.house.new_receipts()] == ["ok", "ok"]


@pytest.mark.parametrize(
    "content",
    [gzip.compress(OK), gzip.compress(bytes(50_000_000)), b"not gzip at all"],
    ids=["compressed", "a bomb", "no gzip"],
)
def test_an_answer_compressed_unasked_does_not_blow_up(door, model, content):
    door.upstream.by_model[model] = raw(
        b"content-encoding: gzip", b"content-length: %d" % len(content), body=content
    )
    before = door.house.memory_bytes()
    with door.wire() as wire:
        same = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
        assert (same.status, same.body, same.header("content-encoding")) == (200, content, "gzip")
        assert wire.call(PATHS["messages"], asking("messages", f"alpha/{model}")).status in (200, 502)
    assert door.house.memory_bytes() - before < 8_000_000
    assert len(door.house.new_receipts()) == 2
