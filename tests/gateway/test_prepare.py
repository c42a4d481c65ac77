"""From a client's request to the upstream's."""

from __future__ import annotations

import json

import pytest

from freehold.core.catalog import Deployment, Provider
from freehold.gateway.headers import forwarded
from freehold.gateway.peek import peek
from freehold.gateway.prepare import (
    Prepared,
    client_lines,
    prepare_same,
    prepare_translated,
    request_head,
)
from freehold.gateway.targets import Target, provider_target

CHAT = b"/v1/chat/completions"


def target(dialect: str = "openai", model_id: str = "m", **settings: object) -> Target:
    provider = Provider(name="p", dialect=dialect, base_url="https://h/v1", **settings)
    return provider_target(Deployment(name=f"p/{model_id}", model_id=model_id, provider="p"), provider)


def same(body: bytes, dialect: str = "chat", path: bytes = CHAT) -> Prepared:
    return prepare_same(body, peek(body), target(), dialect, path)


@pytest.mark.parametrize(
    "body",
    [
        b'{ "model" : "m" ,"messages":[ ] }',
        b'{"model":"m","stream":false}',
        b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
    ],
)
def test_a_request_that_needs_no_change_is_the_clients_own_bytes(body):
    assert same(body) == Prepared(body=body, target=CHAT, dialect="chat")


def test_the_models_name_becomes_the_upstreams():
    assert same(b'{"model":"smart","x":[1, 2]}').body == b'{"model":"m","x":[1, 2]}'


@pytest.mark.parametrize("path", [CHAT, b"/v1/completions", CHAT + b"?api-version=1"])
def test_usage_is_asked_for_in_streams_and_taken_out_again(path):
    found = same(b'{"model":"m","stream":true}', path=path)
    assert json.loads(found.body)["stream_options"] == {"include_usage": True}
    assert found.strip_usage


@pytest.mark.parametrize(
    ("dialect", "path"),
    [
        ("messages", b"/v1/messages"),
        ("responses", b"/v1/responses"),
        ("chat", b"/v1/threads/runs"),
        ("chat", b"/v1/images/generations"),
        ("chat", b"/v1/audio/speech"),
    ],
)
def test_usage_is_asked_for_only_where_the_operation_knows_it(dialect, path):
    body = b'{"model":"m","stream":true}'
    found = same(body, dialect, path)
    assert (found.body, found.strip_usage) == (body, False)


@pytest.mark.parametrize(
    ("client", "dialect", "settings", "path"),
    [
        ("chat", "anthropic", {}, b"/v1/messages"),
        ("messages", "openai", {}, b"/v1/chat/completions"),
        ("responses", "openai", {}, b"/v1/chat/completions"),
        ("ollama", "openai", {"responses": True}, b"/v1/chat/completions"),
    ],
)
def test_a_translated_request_goes_to_the_operation_of_the_other_dialect(client, dialect, settings, path):
    turn = {"input": "hi"} if client == "responses" else {"messages": [{"role": "user", "content": "hi"}]}
    body = json.dumps({"model": "smart", "max_tokens": 5, **turn}).encode()
    found = prepare_translated(body, target(dialect, **settings), client, answer_id="r1", created_s=1)
    assert found.target == path
    assert json.loads(found.body)["model"] == "m"
    assert found.context is not None


@pytest.mark.parametrize(
    ("model_id", "tokens"),
    [("claude-sonnet-4-5", 32_000), ("claude-opus-4-1-20250805", 32_000), ("claude-3-5-haiku-latest", 8192)],
)
def test_anthropic_is_told_a_limit_where_the_client_names_none(model_id, tokens):
    body = b'{"model":"x","messages":[{"role":"user","content":"hi"}]}'
    found = prepare_translated(body, target("anthropic", model_id), "chat", answer_id="r", created_s=1)
    assert json.loads(found.body)["max_tokens"] == tokens


def head(
    found: Target, prepared: Prepared, *headers: tuple[bytes, bytes], method: bytes = b"POST"
) -> list[bytes]:
    lines = client_lines(list(headers), found, prepared, forwarded(list(headers)))
    made = request_head(method, prepared, found, lines, dict(headers))
    assert made.endswith(b"\r\n\r\n")
    return made[:-4].split(b"\r\n")


def test_the_head_that_goes_upstream():
    prepared = Prepared(body=b"{}", target=CHAT + b"?a=b", dialect="chat")
    client = (
        (b"host", b"localhost:8400"),
        (b"authorization", b"Bearer client"),
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"99"),
        (b"openai-project", b"proj"),
    )
    assert head(target(api_key="sk-1"), prepared, *client) == [
        b"POST /v1/chat/completions?a=b HTTP/1.1",
        b"host: h",
        b"openai-project: proj",
        b"authorization: Bearer sk-1",
        b"content-type: application/json; charset=utf-8",
        b"content-length: 2",
    ]


def test_configured_headers_go_instead_of_the_clients():
    prepared = Prepared(body=b"{}", target=CHAT, dialect="chat")
    lines = head(target(headers={"x-team": "blue"}), prepared, (b"x-team", b"red"), (b"accept", b"*/*"))
    assert [line for line in lines if line.startswith(b"x-team")] == [b"x-team: blue"]
    assert b"accept: */*" in lines


def test_a_translated_head_describes_our_body_and_leaves_the_other_vendor_out():
    body = b'{"model":"x","messages":[{"role":"user","content":"hi"}]}'
    prepared = prepare_translated(body, target("anthropic"), "chat", answer_id="r", created_s=1)
    lines = head(
        target("anthropic", api_key="sk"),
        prepared,
        (b"content-type", b"text/odd"),
        (b"openai-project", b"p"),
        (b"idempotency-key", b"k"),
    )
    assert b"content-type: application/json" in lines
    assert b"anthropic-version: 2023-06-01" in lines
    assert b"x-api-key: sk" in lines
    assert b"idempotency-key: k" in lines
    assert not any(line.startswith(b"openai-") for line in lines)


def test_a_get_has_its_own_method_and_no_content():
    prepared = Prepared(body=b"", target=b"/v1/responses/resp_1", dialect="responses")
    lines = head(target(), prepared, method=b"GET")
    assert lines[0] == b"GET /v1/responses/resp_1 HTTP/1.1"
    assert lines[-1] == b"content-length: 0"
