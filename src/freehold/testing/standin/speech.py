"""From a request to what should be answered: pure, by path and dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from freehold.testing.standin import chat, messages, responses, sundries
from freehold.testing.standin.behaviour import Behaviour

Payload = dict[str, Any]
Whole = Callable[[Payload, Behaviour, int], Payload]
Parts = Callable[[Payload, Behaviour, int], list[bytes]]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, reduced to what the answer depends on."""

    method: str
    path: str
    body: bytes
    number: int
    """Counts requests; part of the ids in answers."""
    models: Sequence[str]
    anthropic: bool = False
    """The request carried `anthropic-version`."""

    def fields(self) -> Payload:
        """The body's JSON object; {} when there is none."""
        try:
            decoded = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return {}
        return decoded if isinstance(decoded, dict) else {}  # pyright: ignore[reportUnknownVariableType]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Exactly one of `body` and `events` is set."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    events: Sequence[bytes] | None = None


TALK: Mapping[str, tuple[Whole, Parts]] = {
    "/v1/chat/completions": (chat.chat_answer, chat.chat_events),
    "/v1/completions": (chat.text_answer, chat.text_events),
    "/v1/messages": (messages.message_answer, messages.message_events),
    "/v1/responses": (responses.response_answer, responses.response_events),
}


def answer_to(asked: Asked, told: Behaviour) -> Answer:
    """What a well-behaved server would say, as far as `told` does not want something else."""
    try:
        answer = _content(asked, told)
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # fields of kinds that no API allows
        answer = error_answer(asked, 400, f"The stand-in cannot read this request: {error}")
    return Answer(
        status=answer.status if told.status == 200 else told.status,
        headers=_vendor_headers(asked)
        | dict(answer.headers)
        | {k.lower(): v for k, v in told.headers.items()},
        body=answer.body,
        events=answer.events,
    )


def _content(asked: Asked, told: Behaviour) -> Answer:
    if told.events is not None:
        return _stream([event + told.line_end.encode() * 2 for event in told.events])
    if told.body is not None:
        return Answer(status=told.status, headers={"content-type": "application/json"}, body=told.body)
    if told.status >= 400:
        return error_answer(asked, told.status, f"The stand-in was told to answer {told.status}.")
    request = asked.fields()
    if asked.method == "POST" and asked.path in TALK:
        whole, parts = TALK[asked.path]
        if not request.get("model") and asked.path != "/v1/responses":  # there a stored prompt may name it
            return error_answer(asked, 400, "model: field required")
        if request.get("stream"):
            return _stream(parts(request, told, asked.number))
        return _json(whole(request, told, asked.number))
    if asked.path.startswith("/v1/responses/"):
        return _stored_response(asked, request, told)
    if asked.path == "/v1/models" or asked.path.startswith("/v1/models/"):
        return _models(asked)
    return _sundry(asked, request, told)


def _sundry(asked: Asked, request: Payload, told: Behaviour) -> Answer:
    match asked.path:
        case "/v1/messages/count_tokens":
            return _json({"input_tokens": told.input_tokens})
        case "/v1/embeddings":
            return _json(sundries.embeddings(request, told))
        case "/v1/rerank":
            return _json(sundries.rerank(request, told))
        case "/v1/moderations":
            return _json(sundries.moderations(request, asked.number))
        case "/v1/images/generations" | "/v1/images/edits" | "/v1/images/variations":
            return _json(sundries.images())
        case "/v1/audio/speech":
            return Answer(headers={"content-type": "audio/mpeg"}, body=sundries.SOUND)
        case "/v1/audio/transcriptions" | "/v1/audio/translations":
            return _json({"text": told.text})
        case "/health":
            return _json({"status": "ok"})
        case _:
            return _json(
                {"object": "echo", "method": asked.method, "path": asked.path, "bytes": len(asked.body)}
            )


def _stored_response(asked: Asked, request: Payload, told: Behaviour) -> Answer:
    ident, _, verb = asked.path.removeprefix("/v1/responses/").partition("/")
    if ident == "input_tokens":
        return _json({"object": "response.input_tokens", "input_tokens": told.input_tokens})
    if ident == "compact":
        return _json({"id": "resp_compact", "object": "response.compaction", "output": []})
    if not ident.startswith("resp_standin"):
        return error_answer(asked, 404, f"Response with id '{ident}' not found.")
    if asked.method == "DELETE":
        return _json({"id": ident, "object": "response", "deleted": True})
    if verb == "input_items":
        item: Payload = {"id": "msg_in", "type": "message", "role": "user", "content": []}
        return _json(
            {"object": "list", "data": [item], "first_id": "msg_in", "last_id": "msg_in", "has_more": False}
        )
    number = int(ident.removeprefix("resp_standin"))
    answer = responses.response_answer({"model": asked.models[0]}, told, number)
    return _json(answer | {"status": "cancelled"} if verb == "cancel" else answer)


def _models(asked: Asked) -> Answer:
    ident = asked.path.removeprefix("/v1/models").removeprefix("/")
    if not ident:
        listed = sundries.anthropic_models if asked.anthropic else sundries.openai_models
        return _json(listed(asked.models))
    if ident not in asked.models:
        return error_answer(asked, 404, f"The model '{ident}' does not exist.")
    return _json(sundries.anthropic_model(ident) if asked.anthropic else sundries.openai_model(ident))


ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_answer(asked: Asked, status: int, message: str) -> Answer:
    """The error envelope of the dialect that the path belongs to."""
    if asked.path.startswith("/v1/messages") or asked.anthropic:
        detail = {"type": ANTHROPIC_TYPES.get(status, "api_error"), "message": message}
        body: Payload = {"type": "error", "error": detail, "request_id": f"req_standin{asked.number}"}
    else:
        kind = (
            "invalid_request_error"
            if status < 429
            else "rate_limit_error"
            if status == 429
            else "server_error"
        )
        body = {"error": {"message": message, "type": kind, "param": None, "code": None}}
    return Answer(status=status, headers={"content-type": "application/json"}, body=msgspec.json.encode(body))


def _json(payload: Any) -> Answer:
    return Answer(headers={"content-type": "application/json"}, body=msgspec.json.encode(payload))


def _stream(events: list[bytes]) -> Answer:
    headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
    return Answer(headers=headers, events=events)


def _vendor_headers(asked: Asked) -> dict[str, str]:
    """Request ids and limits, named as the vendor of the dialect names them."""
    if asked.path.startswith("/v1/messages") or asked.anthropic:
        return {
            "request-id": f"req_standin{asked.number}",
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:00Z",
        }
    return {
        "x-request-id": f"req_standin{asked.number}",
        "openai-processing-ms": "7",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
    }
