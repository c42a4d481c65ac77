"""Same dialect in and out: nothing but the model's name is touched, in either direction."""

from __future__ import annotations

import gzip
import json

import pytest

from freehold.testing.standin import Behaviour
from tests.talk import HOMES, PATHS, asking, dialect_headers
from tests.wire import request_bytes

ODD = (
    b'{ "zz_unknown" :[1.0e5,  -0.0,"\\u00e9\xc3\xa9\\ud83c\\udfe0"],\r\n\t"model":"%s" , "stream":false,'
    b'"metadata":{"model":"not me","n":12345678901234567890}, %s, "last"  : null }  \n'
)
REST = {
    "chat": b'"messages":[{"role":"user","content":"\\"model\\": \\"nor me\\""}]',
    "completions": b'"prompt":"x"',
    "messages": b'"max_tokens":9,"messages":[{"role":"user","content":[{"type":"x","signature":"a=="}]}]',
    "responses": b'"input":"x"',
}


@pytest.mark.parametrize("dialect", PATHS)
def test_a_body_arrives_byte_for_byte_except_for_the_model_name(town, model, dialect):
    home = HOMES[dialect]
    with town.house.wire() as wire:
        assert wire.call(PATHS[dialect], ODD % (f"{home}/{model}".encode(), REST[dialect])).status == 200
    seen = getattr(town, home).wait_for(1)[0]
    assert seen.body == ODD % (model.encode(), REST[dialect])
    assert seen.header("content-length") == str(len(seen.body))


@pytest.mark.parametrize("dialect", PATHS)
def test_a_plain_id_needs_no_change_at_all(town, dialect):
    home = HOMES[dialect]
    body = ODD % (f"only-{home}-id".encode(), REST[dialect])
    with town.house.wire() as wire:
        assert wire.call(PATHS[dialect], body).status == 200
    assert getattr(town, home).wait_for(1)[0].body == body


def test_a_body_in_chunks_arrives_whole(town, model):
    body = ODD % (f"alpha/{model}".encode(), REST["chat"])
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, body[at : at + 1]) for at in range(len(body)))
    head = request_bytes(body=b"", headers={"content-length": None, "transfer-encoding": "chunked"})
    with town.house.wire() as wire:
        assert wire.send(head + chunks + b"0\r\n\r\n").answer().status == 200
    assert town.alpha.wait_for(1)[0].body == ODD % (model.encode(), REST["chat"])


def test_a_model_name_in_escapes_is_the_same_name(town):
    escaped = b'{"model":"only-\\u0061lpha-id","messages":[]}'
    with town.house.wire() as wire:
        assert wire.call(PATHS["chat"], escaped).status == 200
    assert town.alpha.wait_for(1)[0].json()["model"] == "only-alpha-id"


def test_two_model_names_cannot_smuggle_one_past_the_other(town, model):
    twice = f'{{"model":"alpha/{model}","messages":[],"model":"alpha/secret-model"}}'.encode()
    with town.house.wire() as wire:
        answer = wire.call(PATHS["chat"], twice)
    if answer.status == 200:
        assert b"secret-model" not in town.alpha.wait_for(1)[0].body
    else:
        assert answer.status in (400, 404)
        assert town.alpha.seen == []


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_the_answer_comes_back_byte_for_byte(town, model, dialect, framing):
    home = HOMES[dialect]
    body = b'{ "odd" : [1.0e5,"\\u00e9"],\n "usage":{"prompt_tokens":3,"completion_tokens":4} }\n'
    getattr(town, home).script(Behaviour(status=201, body=body, framing=framing, slice_bytes=5))
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{home}/{model}"))
        assert (answer.status, answer.body) == (201, body)
        assert wire.call("/health").status == 200, "the client's connection lives on"


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("dialect", PATHS)
def test_a_stream_comes_back_byte_for_byte_whatever_the_pieces(town, model, dialect, line_end):
    home = HOMES[dialect]
    upstream = getattr(town, home)
    told = Behaviour(thinking="well then", line_end=line_end)
    upstream.script(told, Behaviour(thinking="well then", line_end=line_end, slice_bytes=1))
    body = asking(dialect, f"{home}/{model}", stream=True)
    if HOMES[dialect] == "alpha" and dialect != "responses":
        body["stream_options"] = {"include_usage": True}
    with upstream_wire(upstream) as direct:
        expected = direct.call(PATHS[dialect], body | {"model": model})
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], body)
    assert answer.header("content-type") == "text/event-stream; charset=utf-8"
    assert numbered(answer.body) == numbered(expected.body)


def test_an_answer_in_gzip_is_what_the_client_asked_for_and_its_usage_is_learned(town, model):
    town.alpha.script(Behaviour(gzip=True))
    headers = {"accept-encoding": "gzip"}
    with town.house.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"), headers=headers)
    packed = answer.header("content-encoding") == "gzip"
    assert json.loads(gzip.decompress(answer.body) if packed else answer.body)["object"] == "chat.completion"
    assert town.house.receipt().usage.output_total == 9


@pytest.mark.parametrize("dialect", PATHS)
def test_headers_that_matter_go_up_and_come_back(town, model, dialect):
    home = HOMES[dialect]
    upstream = getattr(town, home)
    sent = {
        "anthropic-beta": "tools-2026-01-01,x",
        "openai-organization": "org-1",
        "openai-project": "proj-1",
        "idempotency-key": "once",
        "x-stainless-retry-count": "0",
        "user-agent": "walker/1.0",
        "accept": "application/json",
    } | dialect_headers(dialect)
    with town.house.wire() as wire:
        answer = wire.call(PATHS[dialect], asking(dialect, f"{home}/{model}"), headers=sent)
    seen = upstream.wait_for(1)[0]
    names = ("anthropic-beta", "idempotency-key", "user-agent")
    if home == "alpha":
        names += ("openai-organization", "openai-project")
        assert answer.header("x-ratelimit-remaining-requests") == "499"
        assert answer.header("openai-processing-ms") == "7"
        assert answer.header("x-request-id") == "req_standin1"
    else:
        assert seen.header("anthropic-version") == "2023-06-01"
        assert answer.header("anthropic-ratelimit-requests-remaining") == "49"
        assert answer.header("request-id") == "req_standin1"
    assert {name: seen.header(name) for name in names} == {name: sent[name] for name in names}
    assert town.house.receipt().upstream_request_id == "req_standin1"


def test_hop_by_hop_headers_stay_on_their_hop(town, model):
    sent = {
        "connection": "keep-alive, x-private",
        "x-private": "mine",
        "te": "trailers",
        "proxy-authorization": "Basic eA==",
        "keep-alive": "timeout=5",
    }
    town.alpha.script(Behaviour(headers={"keep-alive": "timeout=1", "proxy-authenticate": "Basic"}))
    with town.house.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"alpha/{model}"), headers=sent)
    seen = town.alpha.wait_for(1)[0]
    assert [
        name for name in ("x-private", "te", "proxy-authorization", "keep-alive") if seen.header(name)
    ] == []
    assert (answer.header("keep-alive"), answer.header("proxy-authenticate")) == (None, None)


def test_the_upstream_is_named_as_itself_and_gets_the_providers_headers(town, model):
    with town.house.wire() as wire:
        wire.call(PATHS["chat"], asking("chat", f"beta/{model}"))
    seen = town.beta.wait_for(1)[0]
    assert seen.header("host") == f"127.0.0.1:{town.beta.port}"
    assert seen.header("x-team") == "blue"


def test_the_query_goes_along(town, model):
    with town.house.wire() as wire:
        wire.call(
            "/v1/messages?beta=true",
            asking("messages", f"claude/{model}"),
            headers=dialect_headers("messages"),
        )
    assert town.claude.wait_for(1)[0].target == "/v1/messages?beta=true"


def test_freeholds_own_headers_say_who_answered_and_why(town, model):
    with town.house.wire() as wire:
        answer = wire.call(PATHS["chat"], asking("chat", f"smart-{model}"))
    receipt = town.house.receipt()
    assert answer.header("x-freehold-receipt") == receipt.id
    assert answer.header("x-freehold-deployment") == receipt.deployment == f"alpha/{model}"
    assert answer.header("x-freehold-route") == receipt.route != ""


def upstream_wire(upstream):
    from tests.wire import Wire

    return Wire(upstream.port)


def numbered(body: bytes) -> bytes:
    """Without the request's number, the one thing in which two answers of the stand-in differ."""
    import re

    return re.sub(rb"(standin|msg_|rs_)\d+", rb"\1N", body)
