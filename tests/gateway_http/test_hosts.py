"""Without keys only this machine's own programs may call: no web page, no rebound DNS name."""

from __future__ import annotations

import pytest

from tests.talk import PATHS, asking


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "127.0.0.1:99",
        "",
        "127.0.0.2",
        "[::2]",
    ],
)
@pytest.mark.parametrize(
    "path", [PATHS["chat"], PATHS["messages"], "/v1/models", "/api/tags", "/health", "/"]
)
def test_a_foreign_host_is_refused(door, model, host, path):
    body = asking("chat", f"alpha/{model}", max_tokens=9) if path in PATHS.values() else None
    with door.wire() as wire:
        answer = wire.call(path, body, headers={"host": host})
    if path == "/health" and answer.status == 200:
        return  # tells nothing
    assert answer.status in (400, 403, 421)
    assert door.upstream.seen == []
    if body:
        assert door.house.receipt().outcome == "refused"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost", "[::1]"])
@pytest.mark.parametrize("with_port", [False, True])
def test_the_machines_own_names_are_let_in(door, name, with_port):
    host = f"{name}:{door.house.port}" if with_port else name
    with door.wire() as wire:
        assert wire.call("/v1/models", headers={"host": host}).status == 200


def test_no_host_at_all_is_a_bad_request(door):
    with door.wire() as wire:
        wire.send(b"GET /v1/models HTTP/1.1\r\n\r\n")
        assert wire.answer().status in (400, 403, 421)


def test_two_hosts_are_a_bad_request(door):
    with door.wire() as wire:
        wire.send(b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nhost: evil.example\r\n\r\n")
        assert wire.answer().status in (400, 403, 421)
    with door.wire() as wire:
        wire.send(b"GET /v1/models HTTP/1.1\r\nhost: evil.example\r\nhost: 127.0.0.1\r\n\r\n")
        assert wire.answer().status in (400, 403, 421)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"]
)
def test_a_foreign_page_is_refused(door, model, origin):
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"), headers={"origin": origin})
    assert answer.status == 403
    assert answer.header("access-control-allow-origin") is None
    assert door.upstream.seen == []
    assert door.house.receipt().outcome == "refused"


def test_our_own_page_is_let_in(door, model):
    origin = f"http://127.0.0.1:{door.house.port}"
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"), headers={"origin": origin})
    assert answer.status == 200


def test_a_preflight_of_a_foreign_page_gets_no_permission(door):
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], method="OPTIONS", headers=asked)
    assert answer.status >= 400
    assert answer.header("access-control-allow-origin") is None


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_posted_across_sites_is_refused_even_without_origin(door, model, kind):
    """Old browsers send no Origin with a form; `sec-fetch-site` still tells."""
    sent = {"content-type": kind, "sec-fetch-site": "cross-site"}
    with door.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"), headers=sent)
    assert answer.status in (403, 415)


@pytest.mark.parametrize(
    "target", ["http://evil.example/v1/models", "http://127.0.0.1@evil.example/v1/models"]
)
def test_an_absolute_target_names_the_host_and_is_judged_like_one(door, target):
    """RFC 9112 §3.2.2: the target's authority replaces the Host header."""
    with door.wire() as wire:
        wire.send(f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        assert wire.answer().status in (400, 403, 421)


def test_an_absolute_target_of_our_own_is_served(door):
    with door.wire() as wire:
        wire.send(
            f"GET http://127.0.0.1:{door.house.port}/v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()
        )
        assert wire.answer().status == 200


@pytest.mark.parametrize(
    "target", ["//evil.example/v1/models", "/v1/../v1/models", "/v1//models", "/v1/%2e%2e/health"]
)
def test_odd_paths_open_no_other_door(door, target):
    with door.wire() as wire:
        assert wire.call(target).status in (200, 400, 404)
    assert all(".." not in seen.target for seen in door.upstream.seen)
