from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from anthropic import APIStatusError
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.errors import CallError
from freehold.dialects.errors import error_body, error_event, parse_error
from tests.dialects.streamkit import anthropic_client, openai_client

BUSY = CallError(kind="overloaded", status=503, message="Busy.", source="upstream", retry_after_s=2)
LIMIT = CallError(kind="rate_limit", status=429, message="Too fast.", source="upstream", retry_after_s=2.5)


def test_openai_envelope() -> None:
    error = CallError(
        kind="not_found", status=404, message="No such model.", code="model_not_found", param="model"
    )
    assert json.loads(error_body(error, "chat", "req_1")) == {
        "error": {
            "message": "No such model.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
            "source": "freehold",
        }
    }


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (409, "conflict_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
def test_anthropic_envelope_has_the_type_of_its_status(status: int, word: str) -> None:
    error = parse_error(status, b'{"error": {"message": "m"}}')
    assert json.loads(error_body(error, "messages", "req_1")) == {
        "type": "error",
        "error": {"type": word, "message": "m", "source": "upstream"},
        "request_id": "req_1",
    }


def test_ollama_envelope_says_who_failed() -> None:
    assert json.loads(error_body(BUSY, "ollama", "r")) == {"error": "upstream: Busy."}


def test_an_exhausted_quota_is_not_told_as_a_rate_limit() -> None:
    quota = {"message": "Pay.", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}
    error = parse_error(429, json.dumps({"error": quota}).encode())
    assert error.code == "insufficient_quota"
    assert json.loads(error_body(error, "chat", "r"))["error"]["type"] == "insufficient_quota"
    assert json.loads(error_body(error, "messages", "r"))["error"]["type"] == "billing_error"
    assert b'"code":"insufficient_quota"' in error_event(error, "responses", "r", 3, answer_id="resp_1")


SHAPES: list[tuple[int, Any, str, str | None]] = [
    (
        400,
        {"error": {"message": "bad", "type": "invalid_request_error", "param": "x", "code": None}},
        "bad",
        None,
    ),
    (
        400,
        {"error": {"message": "long", "code": "context_length_exceeded"}},
        "long",
        "context_length_exceeded",
    ),
    (529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, "busy", None),
    (
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        "Loading model",
        "unavailable_error",
    ),
    (429, {"error": {"code": 429, "message": "slow", "metadata": {"provider_name": "p"}}}, "slow", None),
    (404, {"error": "model 'x' not found"}, "model 'x' not found", None),
    (
        422,
        {"detail": [{"loc": ["body", "n"], "msg": "too big"}, {"loc": [], "msg": "odd"}]},
        "body.n: too big; odd",
        None,
    ),
    (401, {"detail": "no key"}, "no key", None),
    (
        400,
        {"object": "error", "message": "ctx", "type": "BadRequestError", "code": 400},
        "ctx",
        "BadRequestError",
    ),
    (400, [{"error": {"code": 400, "message": "g", "status": "INVALID_ARGUMENT"}}], "g", "INVALID_ARGUMENT"),
    (422, {"object": "error", "message": {"detail": [{"loc": ["a"], "msg": "b"}]}}, "a: b", None),
    (500, {"message": "plain"}, "plain", None),
    (500, "just text", "just text", None),
    (500, {}, "The upstream answered 500 without saying why.", None),
]


@pytest.mark.parametrize(("status", "body", "message", "code"), SHAPES)
def test_every_shape_of_error_keeps_its_message_and_code(
    status: int, body: Any, message: str, code: str | None
) -> None:
    error = parse_error(status, json.dumps(body).encode())
    assert (error.status, error.message, error.code, error.source) == (status, message, code, "upstream")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"upstream timed out\n", "upstream timed out"),
        (b"<html>502</html>", "The upstream answered 502 without saying why."),
    ],
)
def test_text_is_kept_and_markup_is_not(body: bytes, message: str) -> None:
    assert parse_error(502, body).message == message


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"type": "overloaded_error"}, "overloaded", 529),
        ({"code": "rate_limit_exceeded"}, "rate_limit", 429),
        ({"code": 503}, "overloaded", 503),
        ({"code": "400"}, "invalid_request", 400),
        ({"code": 418}, "invalid_request", 418),
        ({"type": "unheard_of"}, "upstream", 502),
    ],
)
def test_an_error_inside_a_stream_gets_its_kind_from_its_words(error: Any, kind: str, status: int) -> None:
    found = parse_error(200, json.dumps({"error": {"message": "m", **error}}).encode())
    assert (found.kind, found.status) == (kind, status)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        (None, None),
        ("Sat, 21 Nov 2026 00:00:00 GMT", None),
        ("-1", None),
        ("nan", None),
    ],
)
def test_retry_after_in_seconds_is_kept(header: str | None, seconds: float | None) -> None:
    assert parse_error(429, b"", header).retry_after_s == seconds


keys = st.sampled_from(["error", "message", "code", "type", "detail", "loc", "msg"])
bodies = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(keys, inner)
)


@given(st.integers(100, 599), st.binary() | bodies.map(lambda body: json.dumps(body).encode()))
def test_no_body_makes_the_reader_raise(status: int, body: bytes) -> None:
    error = parse_error(status, body)
    assert error.message
    assert error.status >= 400


def test_openai_sdk_raises_on_the_chat_error_event() -> None:
    stream = openai_client(error_event(BUSY, "chat", "r")).chat.completions.create(
        model="m", messages=[], stream=True
    )
    with pytest.raises(openai.APIError, match="Busy"):
        list(stream)


def test_anthropic_sdk_raises_on_the_messages_error_event() -> None:
    client = anthropic_client(error_event(BUSY, "messages", "r"))
    stream = client.messages.create(
        model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}], stream=True
    )
    with pytest.raises(APIStatusError, match="overloaded_error"):
        list(stream)


def test_responses_error_event_is_numbered_and_failed_carries_the_streams_id() -> None:
    plain = error_event(LIMIT, "responses", "r", 7).decode()
    assert plain.startswith("event: error\ndata: ")
    assert json.loads(plain.partition("data: ")[2]) == {
        "type": "error",
        "code": "rate_limit_exceeded",
        "message": "Too fast. Please try again in 2.5s.",
        "param": None,
        "sequence_number": 7,
    }
    failed = json.loads(error_event(BUSY, "responses", "r", 7, answer_id="resp_9").partition(b"data: ")[2])
    assert (failed["type"], failed["sequence_number"]) == ("response.failed", 7)
    assert (failed["response"]["id"], failed["response"]["status"]) == ("resp_9", "failed")
    assert failed["response"]["error"] == {
        "code": "server_is_overloaded",
        "message": "Busy.",
        "source": "upstream",
    }
