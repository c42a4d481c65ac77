"""Streams: as they come, usage always learned, nobody waits for nobody, every end is an honest one."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from freehold.testing.standin import DEFAULT_PIECES, Behaviour
from tests.talk import DIALECTS, HOMES, PATHS, asking, event_data, is_error_event
from tests.wire import ClosedError, request_bytes

PLACES = [(client, place) for client in DIALECTS for place in ("alpha", "beta", "claude")]
TEXT_TOKENS = len(DEFAULT_PIECES)


def begin(wire, dialect: str, model: str, **more):
    """Send a stream request; its answer's head."""
    answer = wire.send(request_bytes(PATHS[dialect], asking(dialect, model, stream=True, **more))).head()
    assert answer.status == 200
    assert answer.header("content-type").startswith("text/event-stream")
    return answer


@pytest.mark.parametrize("dialect", PATHS)
def test_the_first_event_arrives_before_the_second_is_let_go(town, model, dialect):
    upstream = getattr(town, HOMES[dialect])
    upstream.script(Behaviour(hold_events="g"))
    with town.house.wire() as wire:
        wire.send(request_bytes(PATHS[dialect], asking(dialect, f"{HOMES[dialect]}/{model}", stream=True)))
        upstream.wait_for(1)
        upstream.gate("g").release()
        events = wire.events(wire.head())
        assert next(events)
        assert upstream.seen[0].events_sent <= 1
        upstream.gate("g").open()
        assert len(list(events)) >= TEXT_TOKENS


@pytest.mark.parametrize(("client", "place"), PLACES)
def test_a_translated_delta_does_not_wait_for_the_next(town, model, client, place):
    upstream = getattr(town, place)
    upstream.script(Behaviour(pieces=("first", "second"), hold_events="g"))
    opening = {"alpha": 2, "beta": 2, "claude": 4}[place]
    if (client, place) == ("responses", "alpha"):
        opening = 5
    with town.house.wire() as wire:
        wire.send(request_bytes(PATHS[client], asking(client, f"{place}/{model}", stream=True)))
        upstream.wait_for(1)
        upstream.gate("g").release(opening)
        events = wire.events(wire.head())
        assert any(b"first" in event for event in events)
        assert upstream.seen[0].events_sent <= opening
        upstream.gate("g").open()
        assert any(b"second" in event for event in events)
        assert list(events)


def test_usage_is_learned_when_the_client_did_not_ask_and_the_client_does_not_notice(town, model):
    with town.house.wire() as wire:
        events = [event_data(event) for event in wire.events(begin(wire, "chat", f"alpha/{model}"))]
    assert town.alpha.seen[0].json()["stream_options"] == {"include_usage": True}
    assert events[-1] == "[DONE]"
    assert all(chunk["choices"] for chunk in events[:-1]), "the usage chunk was not stripped"
    assert all(not chunk.get("usage") for chunk in events[:-1])
    receipt = town.house.receipt()
    assert receipt.usage_state == "reported"
    assert (receipt.usage.input_total, receipt.usage.output_total) == (11, TEXT_TOKENS)


def test_a_client_that_asks_for_usage_gets_it(town, model):
    options = {"include_usage": True}
    with town.house.wire() as wire:
        answer = begin(wire, "chat", f"alpha/{model}", stream_options=options)
        events = [event_data(event) for event in wire.events(answer)]
    assert events[-2]["usage"]["completion_tokens"] == TEXT_TOKENS
    assert events[-2]["choices"] == []
    assert town.house.receipt().usage.output_total == TEXT_TOKENS


def test_other_stream_options_survive_the_injection(town, model):
    options = {"include_obfuscation": False, "include_usage": False}
    with town.house.wire() as wire:
        list(wire.events(begin(wire, "chat", f"alpha/{model}", stream_options=options)))
    sent = town.alpha.seen[0].json()["stream_options"]
    assert sent == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize("usage", ["never", "null"])
def test_a_server_that_never_tells_usage_leaves_an_honest_receipt(town, model, usage):
    town.alpha.script(Behaviour(usage=usage))
    with town.house.wire() as wire:
        list(wire.events(begin(wire, "chat", f"alpha/{model}")))
    receipt = town.house.receipt()
    assert receipt.outcome == "ok"
    assert receipt.usage_state in ("none", "estimated")
    assert receipt.usage_state == "estimated" or receipt.usage.output_total == 0


@pytest.mark.parametrize("slice_bytes", [1, 3, 17])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_usage_is_found_whatever_the_pieces_and_line_ends(town, model, slice_bytes, line_end):
    town.alpha.script(Behaviour(slice_bytes=slice_bytes, line_end=line_end, cached_tokens=5))
    with town.house.wire() as wire:
        events = [event_data(event) for event in wire.events(begin(wire, "chat", f"alpha/{model}"))]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in events[:-1])
    assert text == Behaviour().text
    receipt = town.house.receipt()
    assert (receipt.usage.fresh_in, receipt.usage.cache_read, receipt.usage.output_total) == (
        6,
        5,
        TEXT_TOKENS,
    )


@pytest.mark.parametrize(("client", "place"), PLACES)
def test_usage_of_every_dialect_is_learned(town, model, client, place):
    getattr(town, place).script(Behaviour(cached_tokens=4))
    with town.house.wire() as wire:
        list(wire.events(begin(wire, client, f"{place}/{model}")))
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.stream, receipt.usage_state) == ("ok", True, "reported")
    assert (receipt.usage.fresh_in, receipt.usage.cache_read, receipt.usage.output_total) == (
        7,
        4,
        TEXT_TOKENS,
    )


def test_a_huge_event_passes(town, model):
    town.alpha.script(Behaviour(pieces=("x" * 3_000_000, "end")))
    with town.house.wire() as wire:
        events = [event_data(event) for event in wire.events(begin(wire, "chat", f"alpha/{model}"))]
    assert len(events[1]["choices"][0]["delta"]["content"]) == 3_000_000
    assert town.house.receipt().usage.output_total == 2


def soon(leave: Callable[[], float]) -> None:
    """`leave` tells how many seconds the upstream took to notice. On a busy machine the clock may run away
    from one try, but not from each of three."""
    assert any(leave() < 0.1 for _ in range(3)), "the upstream goes on talking to nobody"


def noticed_after(seen, left_at: float) -> float:
    assert seen.cancelled.wait(5), "the upstream never notices"
    return seen.cancelled_at_s - left_at


@pytest.mark.parametrize(("client", "place"), PLACES)
def test_a_client_that_leaves_stops_the_upstream_at_once(town, model, client, place):
    upstream = getattr(town, place)

    def leave() -> float:
        upstream.reset()
        upstream.script(Behaviour(hold_events="g"))
        with town.house.wire() as wire:
            wire.send(request_bytes(PATHS[client], asking(client, f"{place}/{model}", stream=True)))
            upstream.wait_for(1)
            upstream.gate("g").release(6)
            next(wire.events(wire.head()))
            left_at = wire.close()
        delay_s = noticed_after(upstream.seen[0], left_at)
        (receipt,) = town.house.wait_receipts(1)
        assert (receipt.outcome, receipt.deployment) == ("cancelled", f"{place}/{model}")
        if place == "claude":
            assert receipt.usage.input_total == 11, "message_start told the input tokens"
        return delay_s

    soon(leave)


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_first_byte_stops_the_upstream(town, model, stream):
    def leave() -> float:
        town.alpha.reset()
        town.alpha.script(Behaviour(hold_head="h"))
        with town.house.wire() as wire:
            wire.send(request_bytes(PATHS["chat"], asking("chat", f"smart-{model}", stream=stream)))
            assert town.alpha.wait_for(1)[0].complete.wait(5)
            left_at = wire.close()
        delay_s = noticed_after(town.alpha.seen[0], left_at)
        (receipt,) = town.house.wait_receipts(1)
        assert receipt.outcome == "cancelled"
        return delay_s

    soon(leave)
    assert town.beta.seen == [], "no fallback for a client that is gone"


@pytest.mark.parametrize("place", ["alpha", "claude"])
def test_a_slow_reader_slows_the_upstream_and_memory_stays_bounded(town, model, place):
    upstream = getattr(town, place)
    upstream.script(Behaviour(pieces=("x" * 100_000,) * 600))
    before = town.house.memory_bytes()
    with town.house.wire(receive_buffer=8192) as wire:
        answer = begin(wire, "chat", f"{place}/{model}")
        seen = upstream.wait_for(1)[0]
        assert not seen.answered.wait(0.7), "60 MB went somewhere"
        assert town.house.memory_bytes() - before < 24_000_000
        assert sum(1 for _ in wire.events(answer)) > 600
    assert town.house.receipt().outcome == "ok"


def test_one_slow_reader_does_not_hold_up_the_others(town, model):
    town.alpha.script(Behaviour(pieces=("x" * 100_000,) * 200))
    with town.house.wire(receive_buffer=8192) as slow, town.house.wire() as quick:
        begin(slow, "chat", f"alpha/{model}")
        held_up = town.alpha.wait_for(1)[0].answered
        assert not held_up.wait(0.2)
        began = time.monotonic()
        assert quick.call(PATHS["chat"], asking("chat", f"alpha/{model}")).status == 200
        assert time.monotonic() - began < 1
        assert not held_up.is_set()
    town.house.wait_receipts(2)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize(("client", "place"), PLACES)
def test_a_cut_in_mid_stream_becomes_an_error_event_in_the_clients_dialect(town, model, client, place, reset):
    getattr(town, place).script(Behaviour(cut="events", cut_after=6, reset=reset))
    with town.house.wire() as wire:
        events = list(wire.events(begin(wire, client, f"{place}/{model}")))
        assert is_error_event(client, events[-1]), events[-1]
        assert b"[DONE]" not in b"".join(events)
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.status) == ("truncated", 200)
    assert receipt.error


@pytest.mark.parametrize("client", DIALECTS)
def test_a_cut_inside_an_event_does_not_glue_the_error_to_its_half(town, model, client):
    place = HOMES[client]
    getattr(town, place).script(Behaviour(pieces=("word ",) * 100, cut="body", cut_after=2000))
    with town.house.wire() as wire:
        answer = begin(wire, client, f"{place}/{model}")
        events = list(wire.events(answer))
    assert is_error_event(client, events[-1]), events


def test_a_cut_after_done_is_no_loss(town, model):
    town.alpha.script(Behaviour(cut="done"))
    with town.house.wire() as wire:
        answer = begin(wire, "chat", f"alpha/{model}")
        events = []
        try:
            events.extend(wire.events(answer))
        except ClosedError:
            pytest.fail("the answer was complete: [DONE] was said")
    assert events[-1] == b"data: [DONE]"
    receipt = town.house.receipt()
    assert (receipt.outcome, receipt.usage.output_total) == ("ok", TEXT_TOKENS)


@pytest.mark.parametrize("client", DIALECTS)
def test_an_error_event_of_the_upstream_is_passed_on_and_remembered(town, model, client):
    place = HOMES[client]
    said = {
        "chat": b'data: {"error":{"message":"out of memory","type":"server_error","param":null,"code":null}}',
        "messages": b'event: error\ndata: {"type":"error",'
        b'"error":{"type":"overloaded_error","message":"busy"}}',
        "responses": b'event: error\ndata: {"type":"error","code":"x","message":"busy","param":null,'
        b'"sequence_number":0}',
    }[client]
    getattr(town, place).script(Behaviour(events=(said,)))
    with town.house.wire() as wire:
        events = list(wire.events(begin(wire, client, f"{place}/{model}")))
    assert events[0] == said
    receipt = town.house.receipt()
    assert receipt.outcome in ("error", "truncated")
    assert receipt.error


def test_a_plain_answer_that_is_cut_short_is_not_passed_off_as_whole(town, model):
    town.alpha.script(Behaviour(cut="body", cut_after=40))
    with town.house.wire() as wire:
        answer = wire.send(request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}"))).head()
        if answer.status == 200:
            with pytest.raises(ClosedError):
                list(wire.pieces(answer))
        else:
            assert answer.status == 502
    assert town.house.wait_receipts(1)[0].outcome in ("truncated", "error")
