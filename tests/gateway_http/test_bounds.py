"""Nobody can make the door hold more than it is ready to hold, or wait longer than it is ready to wait."""

from __future__ import annotations

import contextlib
import time

import pytest

from freehold.testing.standin import Behaviour
from tests.gateway_http.conftest import LIMITS
from tests.talk import DIALECTS, FORM, PATHS, asking, envelope_of, upload
from tests.wire import ClosedError, Wire, request_bytes


def test_one_huge_header_is_too_much(door):
    with door.wire() as wire:
        wire.send_or_closed(request_bytes("/health", headers={"x-big": "x" * 20_000}))
        assert wire.answer().status == 431
        assert wire.at_end()


def test_a_header_without_end_is_cut_off_before_it_fills_the_memory(door):
    before = door.house.memory_bytes()
    with door.wire() as wire:
        wire.send_or_closed(b"GET /health HTTP/1.1\r\nx: ")
        for _ in range(200):
            wire.send_or_closed(b"x" * 65536)
        with contextlib.suppress(ClosedError):
            assert wire.answer().status == 431
    assert door.house.memory_bytes() - before < 4_000_000


def test_too_many_headers_are_too_much(door):
    with door.wire() as wire:
        wire.send_or_closed(request_bytes("/health", headers={f"x-{number}": "x" for number in range(50)}))
        assert wire.answer().status == 431


def test_a_huge_url_is_too_long(door):
    with door.wire() as wire:
        wire.send_or_closed(request_bytes("/health?" + "x" * 4000))
        assert wire.answer().status in (414, 431)
        assert wire.at_end()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_announced_too_large_is_refused_before_it_comes(door, dialect):
    with door.wire() as wire:
        wire.send(request_bytes(PATHS[dialect], b"", headers={"content-length": "100000001"}))
        answer = wire.answer()
        assert answer.status == 413
        error = envelope_of(dialect, answer.json())
        assert "100" in error["message"], "it says how much is allowed"
        if dialect == "messages":
            assert error["type"] == "request_too_large"
    receipt = door.house.receipt()
    assert (receipt.outcome, receipt.status) == ("refused", 413)
    assert door.upstream.seen == []


def test_who_sends_a_body_to_its_end_before_listening_hears_that_it_is_too_large(door):
    with door.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], bytes(20_000_000)))
        assert wire.answer().status == 413
        assert wire.at_end()


def test_a_body_that_grows_too_large_in_chunks_is_refused(door):
    head = request_bytes(body=b"", headers={"content-length": None, "transfer-encoding": "chunked"})
    with door.wire() as wire:
        wire.send(head)
        for _ in range(20):
            wire.send_or_closed(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        assert wire.answer().status == 413
        assert wire.at_end()
    assert door.house.receipt().status == 413


def test_an_upload_has_its_own_bound(door, model):
    with door.wire() as wire:
        big = upload(f"alpha/{model}", bytes(500_000))
        assert wire.call("/v1/audio/transcriptions", big, headers=FORM).status == 200
        too_big = upload(f"alpha/{model}", bytes(1_100_000))
        wire.send_or_closed(request_bytes("/v1/audio/transcriptions", too_big, headers=FORM))
        assert wire.answer().status == 413


def test_slow_headers_are_timed_out(door):
    with door.wire() as wire:
        wire.send(b"GET /health HTTP/1.1\r\nhost: 127.0.0.1\r\n")
        began = time.monotonic()
        with contextlib.suppress(ClosedError):
            assert wire.answer().status == 408
        assert wire.at_end()
        assert time.monotonic() - began < 3


def test_headers_that_drip_do_not_renew_the_patience(door):
    began = time.monotonic()
    with door.wire() as wire:
        wire.send(b"GET /health HTTP/1.1\r\n")
        while time.monotonic() - began < 5:
            wire.send_or_closed(b"x: y\r\n")
            if not wire.silent(0.1):
                break
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("dialect", DIALECTS)
def test_slow_bodies_are_timed_out_and_recorded(door, dialect, model):
    whole = request_bytes(PATHS[dialect], asking(dialect, f"alpha/{model}"))
    with door.wire() as wire:
        wire.send(whole[:-5])
        answer = wire.answer()
        assert answer.status == 408
        assert envelope_of(dialect, answer.json())
        assert wire.at_end()
    assert door.house.receipt().outcome in ("refused", "cancelled", "error")
    assert door.upstream.seen == []


def test_a_body_that_moves_is_not_slow(door, model):
    """Longer in all than the bound on a pause, but never pausing that long."""
    whole = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}"))
    for _ in range(10):
        with door.wire() as wire:
            if dripped(wire, whole):
                assert wire.answer().status == 200
                return
    pytest.fail("this machine pauses again and again")


def dripped(wire: Wire, whole: bytes) -> bool:
    """Send the last bytes one by one. False: this machine paused in between for longer than may be."""
    wire.send(whole[:-6])
    sent_s = time.monotonic()
    for at in range(len(whole) - 6, len(whole)):
        silent = wire.silent(LIMITS["body_timeout_s"] / 3)
        if time.monotonic() - sent_s >= LIMITS["body_timeout_s"]:
            return False
        assert silent
        sent_s = time.monotonic()
        wire.send(whole[at : at + 1])
    return True


def test_an_idle_connection_is_closed_without_a_word(door):
    with door.wire() as wire:
        assert wire.call("/health").status == 200
        began = time.monotonic()
        assert wire.at_end()
        assert 0.5 < time.monotonic() - began < 6


def test_a_connection_that_never_says_anything_is_closed(door):
    with door.wire() as wire, contextlib.suppress(ClosedError):
        assert wire.answer().status == 408


def test_an_upstream_that_never_answers_is_given_up(door, model):
    door.upstream.by_model[model] = Behaviour(hang=True)
    began = time.monotonic()
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"))
    assert answer.status in (502, 504)
    assert time.monotonic() - began < 8
    assert door.upstream.seen[0].cancelled.wait(5)
    receipt = door.house.receipt()
    assert (receipt.outcome, receipt.attempts[0].status) == ("error", 0)
    assert "time" in receipt.attempts[0].error.lower()


def test_another_place_answers_when_the_first_one_never_does(door, model):
    door.upstream.script(Behaviour(hang=True))
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"steady-{model}"))
    assert answer.header("x-freehold-deployment") == f"patient/{model}"
    assert door.upstream.seen[0].cancelled.wait(5), "the first one must not go on working for nobody"
    receipt = door.house.receipt()
    assert [attempt.status for attempt in receipt.attempts] == [0, 200]


def test_an_upstream_that_falls_silent_in_mid_stream_is_given_up(door, model):
    door.upstream.script(Behaviour(hold_events="g"))
    with door.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}", stream=True)))
        door.upstream.wait_for(1)
        door.upstream.gate("g").release(3)
        events = list(wire.events(wire.head()))
        assert b'"error"' in events[-1]
    assert door.upstream.seen[0].cancelled.wait(5)
    assert door.house.receipt().outcome == "truncated"


def test_many_silent_connections_do_not_keep_others_out(door):
    wires = [door.wire() for _ in range(200)]
    try:
        began = time.monotonic()
        with door.wire() as wire:
            assert wire.call("/health").status == 200
        assert time.monotonic() - began < 1
    finally:
        for wire in wires:
            wire.close()
