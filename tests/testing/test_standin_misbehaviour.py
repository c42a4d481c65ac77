"""The stand-in breaks exactly where it was told to, and tells what it saw."""

from __future__ import annotations

import gzip
import json

import pytest

from freehold.testing.standin import DEFAULT_PIECES, Behaviour, Standin, refused_port
from tests.wire import ClosedError, Wire, request_bytes

CHAT = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
STREAM = CHAT | {"stream": True}
EVENTS = len(DEFAULT_PIECES) + 3


@pytest.fixture
def wire(standin: Standin):
    with Wire(standin.port) as connection:
        yield connection


def test_requests_are_recorded_as_they_came(standin, wire):
    wire.call("/v1/chat/completions?x=1", CHAT, headers={"X-Thing": "a"})
    wire.call("/v1/other", b"\x00\xff", method="PUT")
    first, second = standin.wait_for(2)
    assert (first.method, first.path, first.target) == ("POST", first.path, "/v1/chat/completions?x=1")
    assert (first.header("x-thing"), first.json()) == ("a", CHAT)
    assert (second.method, second.body, second.connection) == ("PUT", b"\x00\xff", first.connection)


def test_scripts_go_to_posts_in_order_and_a_header_or_the_model_name_can_say_more(standin, wire):
    standin.script(Behaviour(status=500), Behaviour(status=529))
    standin.by_model["bad"] = Behaviour(status=503)
    assert wire.call("/v1/models").status == 200
    assert [wire.call(body=CHAT).status for _ in range(3)] == [500, 529, 200]
    assert wire.call(body=CHAT | {"model": "bad"}).status == 503
    assert wire.call(body=CHAT, headers={"x-standin": '{"status": 418}'}).status == 418


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("cut", ["before", "head"])
def test_a_cut_before_the_body(standin, wire, cut, reset):
    standin.script(Behaviour(cut=cut, reset=reset))
    with pytest.raises(ClosedError):
        wire.call(body=CHAT)


def test_a_cut_inside_the_body(standin, wire):
    standin.script(Behaviour(cut="body", cut_after=7))
    answer = wire.send(request_bytes(body=CHAT)).head()
    got = b""
    with pytest.raises(ClosedError):
        for piece in wire.pieces(answer):
            got += piece
    assert got == b'{"id":"'


@pytest.mark.parametrize(
    ("told", "whole"), [(Behaviour(cut="events", cut_after=2), 2), (Behaviour(cut="done"), EVENTS)]
)
def test_a_cut_inside_or_after_the_stream(standin, wire, told, whole):
    standin.script(told)
    answer = wire.send(request_bytes(body=STREAM)).head()
    got = []
    with pytest.raises(ClosedError):
        for event in wire.events(answer):
            got.append(event)
    assert len(got) == whole


def test_a_held_stream_sends_one_event_per_permit(standin, wire):
    standin.script(Behaviour(hold_events="g"))
    events = wire.events(wire.send(request_bytes(body=STREAM)).head())
    standin.gate("g").release()
    assert b"assistant" in next(events)
    assert wire.silent(0.05)
    standin.gate("g").open()
    assert len(list(events)) == EVENTS - 1


def test_a_client_that_leaves_is_noticed(standin):
    standin.script(Behaviour(hold_events="g"))
    with Wire(standin.port) as wire:
        wire.send(request_bytes(body=STREAM)).head()
        left_at = wire.close()
    seen = standin.wait_for(1)[0]
    assert seen.cancelled.wait(5)
    assert seen.cancelled_at_s - left_at < 0.5
    assert not seen.answered.is_set()


def test_a_reader_that_does_not_read_stops_the_writer(standin):
    standin.script(Behaviour(pieces=("x" * 100_000,) * 500))
    with Wire(standin.port, receive_buffer=4096) as wire:
        wire.send(request_bytes(body=STREAM)).head()
        seen = standin.wait_for(1)[0]
        assert not seen.answered.wait(0.2)
        assert seen.sent_bytes < 25_000_000


def test_lies_about_length_and_odd_slices(standin, wire):
    standin.script(Behaviour(slice_bytes=1, framing="chunked"), Behaviour(framing="close"))
    assert len(json.loads(wire.call(body=CHAT).body)["choices"]) == 1
    assert len(wire.call(body=CHAT).json()["choices"]) == 1
    assert wire.at_end()
    standin.script(Behaviour(content_length=5, close=True))
    with Wire(standin.port) as other:
        assert other.call(body=CHAT).body == b'{"id"'


def test_gzip_only_when_asked(standin, wire):
    standin.default = Behaviour(gzip=True)
    plain = wire.call(body=CHAT)
    packed = wire.call(body=CHAT, headers={"accept-encoding": "gzip"})
    assert plain.header("content-encoding") is None
    assert packed.header("content-encoding") == "gzip"
    assert json.loads(gzip.decompress(packed.body))["choices"] == plain.json()["choices"]


def test_it_says_continue_before_it_reads(standin, wire):
    standin.script(Behaviour(hold_body="g"))
    whole = request_bytes(body=CHAT, headers={"expect": "100-continue"})
    head, _, body = whole.partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert standin.gate("g").reached.wait(5)
    standin.gate("g").open()
    wire.send(body)
    assert wire.answer().interim == [100]


def test_it_can_answer_without_reading_the_body(standin, wire):
    standin.script(Behaviour(early=True, status=413))
    wire.send(b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\npart")
    assert wire.answer().status == 413
    assert wire.at_end()


def test_loading_refusing_and_answering_again(standin):
    standin.loading = True
    with Wire(standin.port) as wire:
        assert wire.call("/health").status == 503
        standin.loading = False
        assert wire.call("/health").status == 200
    standin.refuse()
    with pytest.raises(ConnectionRefusedError):
        Wire(standin.port)
    standin.accept()
    with Wire(standin.port) as wire:
        assert wire.call("/health").status == 200
    with refused_port() as port, pytest.raises(ConnectionRefusedError):
        Wire(port)


def test_unknown_commands_are_refused_loudly(standin, wire):
    with pytest.raises(ClosedError):
        wire.call(body=CHAT, headers={"x-standin": '{"statsu": 500}'})
