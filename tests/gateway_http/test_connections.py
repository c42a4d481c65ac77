"""The life of a connection: kept, shared by all kinds of calls, half-closed, closed, upgraded, left."""

from __future__ import annotations

import socket

import pytest

from freehold.testing.standin import Behaviour
from tests.talk import PATHS, asking
from tests.wire import request_bytes


def test_one_connection_mixes_model_calls_and_everything_else(door, model):
    with door.wire() as wire:
        for _ in range(3):
            assert wire.call(PATHS["chat"], asking("chat", f"alpha/{model}")).status == 200
            assert wire.call("/api/version").status == 200
            assert b"[DONE]" in wire.call(PATHS["chat"], asking("chat", f"alpha/{model}", stream=True)).body
            assert wire.call("/api/v1/nothing-here").status == 404
            assert wire.call("/v1/models").status == 200
    assert {seen.connection for seen in door.upstream.seen} == {door.upstream.seen[0].connection}, (
        "upstream kept too"
    )


def test_close_is_honoured(door, model):
    with door.wire() as wire:
        body = asking("chat", f"alpha/{model}")
        answer = wire.call(PATHS["chat"], body, headers={"connection": "close"})
        assert (answer.status, answer.header("connection")) == (200, "close")
        assert wire.at_end()
    with door.wire() as wire:
        assert wire.call("/health", headers={"connection": "close"}).status == 200
        assert wire.at_end()


@pytest.mark.parametrize("stream", [False, True])
def test_http_1_0_is_answered_in_its_own_way(door, model, stream):
    data = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}", stream=stream))
    with door.wire() as wire:
        answer = wire.send(data.replace(b"HTTP/1.1", b"HTTP/1.0", 1)).answer()
        assert answer.status == 200
        assert answer.header("transfer-encoding") is None, "1.0 knows no chunks"
        assert (b"[DONE]" in answer.body) == stream
        assert wire.at_end()


def test_http_1_0_may_ask_to_stay(door):
    data = request_bytes("/health", headers={"connection": "keep-alive"}).replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    with door.wire() as wire:
        answer = wire.send(data).answer()
        assert answer.status == 200
        if (answer.header("connection") or "").lower() == "keep-alive":
            assert wire.send(data).answer().status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_has_said_all_still_gets_its_answer(door, model, stream):
    """Half-close: `shutdown(SHUT_WR)` after the request, as `nc -N` and some proxies do."""
    door.upstream.script(Behaviour(hold_head="h"))
    with door.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}", stream=stream)))
        door.upstream.wait_for(1)
        wire.socket.shutdown(socket.SHUT_WR)
        door.upstream.gate("h").open()
        answer = wire.answer()
        assert answer.status == 200
        assert (b"[DONE]" in answer.body) == stream
        assert wire.at_end()
    assert door.house.receipt().outcome == "ok"


def test_a_half_closed_request_that_is_not_whole_is_no_call(door, model):
    with door.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}"))[:-5])
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.at_end() or wire.answer().status in (400, 408)
    assert door.upstream.seen == []


def test_continue_is_said_before_the_body_comes(door, model):
    whole = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}"), headers={"expect": "100-continue"})
    head, mark, body = whole.partition(b"\r\n\r\n")
    with door.wire() as wire:
        wire.send(head + mark)
        assert wire._until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        wire.send(body)
        assert wire.answer().status == 200
    assert door.upstream.seen[0].header("expect") is None, "we wait for nobody: the body is here"


def test_continue_is_not_said_to_a_body_that_is_too_large(door):
    headers = {"expect": "100-continue", "content-length": "100000001"}
    with door.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], b"", headers=headers))
        answer = wire.answer()
        assert (answer.status, answer.interim) == (413, [])


def test_an_unknown_expectation_is_refused(door):
    with door.wire() as wire:
        wire.send(request_bytes(PATHS["chat"], {"model": "x"}, headers={"expect": "a-miracle"}))
        assert wire.answer().status in (417, 404)


@pytest.mark.parametrize(
    "headers",
    [
        {
            "connection": "upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "x",
        },
        {"connection": "Upgrade, HTTP2-Settings", "upgrade": "h2c", "http2-settings": "AAMAAABkAAQAAP__"},
    ],
    ids=["websocket", "h2c"],
)
@pytest.mark.parametrize("path", ["/health", PATHS["chat"], "/v1/realtime", "/v1/responses"])
def test_an_upgrade_is_not_made_where_there_is_none(door, path, headers):
    """The offer may be ignored (RFC 9110 §7.8) or refused; the connection must not be left undefined."""
    with door.wire() as wire:
        answer = wire.call(path, method="GET", headers=headers)
        assert answer.status != 101
        assert answer.status < 600
        if (answer.header("connection") or "").lower() != "close":
            assert wire.call("/health").status == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(("path", "allowed"), [(PATHS["chat"], "POST, GET"), (PATHS["messages"], "POST")])
def test_other_methods_are_told_what_is_allowed(door, method, path, allowed):
    with door.wire() as wire:
        answer = wire.call(path, method=method)
        assert (answer.status, answer.header("allow")) == (405, allowed)
        assert wire.call("/health").status == 200


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "get", "X" * 300])
def test_strange_methods_are_refused(door, method):
    target = "127.0.0.1:443" if method == "CONNECT" else "/health"
    with door.wire() as wire:
        wire.send(f"{method} {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        assert wire.answer().status in (400, 403, 404, 405, 501)
    assert door.upstream.seen == []


def test_a_client_that_resets_at_any_moment_does_no_harm(door, model):
    data = request_bytes(PATHS["chat"], asking("chat", f"alpha/{model}", stream=True))
    for at in range(1, len(data), max(1, len(data) // 40)):
        with door.wire() as wire:
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            wire.send(data[:at])
    with door.wire() as wire:
        assert wire.call(PATHS["chat"], asking("chat", f"alpha/{model}")).status == 200
