"""A failed call, told in the caller's dialect; and any provider's error body, read into a value.

Envelopes: OpenAI `{"error": {message, type, param, code}}`, Anthropic `{"type": "error", "error":
{type, message}, "request_id"}` (platform.claude.com, "Errors"), Ollama `{"error": text}`. A member
`source` beside `message` tells who failed: "freehold" or "upstream". Which status and headers go
with it is the gateway's business.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError, ErrorKind

_Object = dict[str, Any]

_MAX_MESSAGE = 4000
"""Characters kept of a provider's message: whole tracebacks arrive here."""

_ANTHROPIC_TYPES: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "method_not_allowed": "invalid_request_error",
    "timeout": "timeout_error",
    "conflict": "conflict_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "internal": "api_error",
    "unsupported": "invalid_request_error",
    "upstream": "api_error",
    "overloaded": "overloaded_error",
}

_OPENAI_TYPES: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "invalid_request_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "invalid_request_error",
    "method_not_allowed": "invalid_request_error",
    "timeout": "timeout_error",
    "conflict": "conflict_error",
    "too_large": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "internal": "server_error",
    "unsupported": "invalid_request_error",
    "upstream": "server_error",
    "overloaded": "overloaded_error",
}

_KIND_OF_STATUS: dict[int, ErrorKind] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    429: "rate_limit",
    500: "internal",
    501: "unsupported",
    502: "upstream",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

_KIND_OF_WORD: dict[str, tuple[ErrorKind, int]] = {
    "invalid_request_error": ("invalid_request", 400),
    "invalid_prompt": ("invalid_request", 400),
    "context_length_exceeded": ("invalid_request", 400),
    "exceed_context_size_error": ("invalid_request", 400),
    "authentication_error": ("authentication", 401),
    "invalid_api_key": ("authentication", 401),
    "billing_error": ("billing", 402),
    "permission_error": ("permission", 403),
    "not_found_error": ("not_found", 404),
    "model_not_found": ("not_found", 404),
    "request_too_large": ("too_large", 413),
    "rate_limit_error": ("rate_limit", 429),
    "rate_limit_exceeded": ("rate_limit", 429),
    "insufficient_quota": ("rate_limit", 429),
    "api_error": ("internal", 500),
    "server_error": ("internal", 500),
    "timeout_error": ("timeout", 504),
    "overloaded_error": ("overloaded", 529),
    "server_is_overloaded": ("overloaded", 503),
    "unavailable_error": ("overloaded", 503),
    "service_unavailable": ("overloaded", 503),
}
"""What a word means when no status says it: errors inside a stream that began with 200."""

_PLAIN_TYPES = {*_ANTHROPIC_TYPES.values(), *_OPENAI_TYPES.values(), "error", "invalid_request"}
"""Type words that repeat the status; a word outside this list is worth keeping as the code."""


def error_body(error: CallError, dialect: Dialect, request_id: str) -> bytes:
    """The JSON body of an error answer in `dialect`."""
    if dialect == "messages":
        return msgspec.json.encode(
            {"type": "error", "error": _anthropic_error(error), "request_id": request_id}
        )
    if dialect == "ollama":
        who = "" if error.source == "freehold" else "upstream: "
        return msgspec.json.encode({"error": f"{who}{error.message}"})
    return msgspec.json.encode({"error": _openai_error(error)})


def _anthropic_error(error: CallError) -> _Object:
    # An exhausted quota is a 429 at OpenAI; `rate_limit_error` would make clients try again.
    word = "billing_error" if error.code == "insufficient_quota" else _ANTHROPIC_TYPES[error.kind]
    return {"type": word, "message": error.message, "source": error.source}


def _openai_error(error: CallError) -> _Object:
    quota = error.code == "insufficient_quota"
    return {
        "message": error.message,
        "type": "insufficient_quota" if quota else _OPENAI_TYPES[error.kind],
        "param": error.param,
        "code": error.code,
        "source": error.source,
    }


def error_event(
    error: CallError,
    dialect: Dialect,
    request_id: str,
    sequence: int = 0,
    *,
    answer_id: str = "",
) -> bytes:
    """The bytes that end a stream honestly after it began; nothing may follow them.

    Chat: one `data:` line and no `[DONE]` (openai-python raises on a truthy `error`). Messages:
    `event: error`. Ollama: one line. Responses: with the stream's response id as `answer_id`,
    `response.failed` (the only error that Codex reads; the id must be the one in
    `response.created`, openai-python refuses another); without it the plain `error` event.
    `sequence` is the event's `sequence_number`.
    """
    if dialect == "messages":
        return b"event: error\ndata: " + error_body(error, dialect, request_id) + b"\n\n"
    if dialect == "ollama":
        return error_body(error, dialect, request_id) + b"\n"
    if dialect == "chat":
        return b"data: " + error_body(error, dialect, request_id) + b"\n\n"
    if answer_id:
        return failed_event({"id": answer_id, "object": "response", "output": []}, error, sequence)
    event = {
        "type": "error",
        "code": response_error_code(error),
        "message": _with_retry_hint(error),
        "param": error.param,
        "sequence_number": sequence,
    }
    return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


def failed_event(response: _Object, error: CallError, sequence: int) -> bytes:
    """`response.failed` for the Responses object `response`, whose status and error it sets."""
    failed = {
        **response,
        "status": "failed",
        "error": {
            "code": response_error_code(error),
            "message": _with_retry_hint(error),
            "source": error.source,
        },
    }
    event = {"type": "response.failed", "sequence_number": sequence, "response": failed}
    return b"event: response.failed\ndata: " + msgspec.json.encode(event) + b"\n\n"


def response_error_code(error: CallError) -> str:
    """`code` of a Responses error: the provider's own word, else one of OpenAI's for the kind."""
    if error.code:
        return error.code
    if error.kind == "rate_limit":
        return "rate_limit_exceeded"
    if error.kind in ("invalid_request", "too_large", "unsupported"):
        return "invalid_prompt"
    return "server_is_overloaded" if error.kind == "overloaded" else "server_error"


def _with_retry_hint(error: CallError) -> str:
    """Codex reads its delay from the message of a rate limit error ("try again in 2s")."""
    if error.kind != "rate_limit" or error.retry_after_s is None or "try again in" in error.message:
        return error.message
    return f"{error.message} Please try again in {error.retry_after_s:g}s."


def parse_error(status: int, body: bytes, retry_after: str | None = None) -> CallError:
    """A provider's error answer as a value, `source` "upstream"; never raises.

    Reads OpenAI's, Anthropic's, Google's, Ollama's, FastAPI's and vLLM's shapes, and plain text.
    `status` is the HTTP status; below 400 (an error event inside a stream) it is derived from
    the error's own code or type, 502 when they say nothing. `retry_after` is the header's value;
    only seconds are understood, for a date needs a clock.
    """
    found = _error_object(body)
    message = _text(found.get("message")) or _text(found.get("detail")) or _plain_text(body)
    word = _word(found.get("code")) or _word(found.get("type")) or _word(found.get("status"))
    if status < 400:
        kind, status = _from_words(found)
    else:
        kind = _KIND_OF_STATUS.get(status) or ("upstream" if status >= 500 else "invalid_request")
    return CallError(
        kind=kind,
        status=status,
        message=(message or f"The upstream answered {status} without saying why.")[:_MAX_MESSAGE],
        source="upstream",
        code=word if word and word not in _PLAIN_TYPES else None,
        param=_word(found.get("param")),
        retry_after_s=_seconds(retry_after),
    )


def _error_object(body: bytes) -> _Object:
    """The object that holds message, code and type, wherever the provider put it."""
    try:
        found: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if isinstance(found, list) and found:  # Google's compatible endpoint wraps errors in a list
        found = cast(list[object], found)[0]
    if not isinstance(found, dict):
        return {"message": found} if isinstance(found, str) else {}
    outer = cast(_Object, found)
    inner: object = outer.get("error")
    if isinstance(inner, dict):
        return cast(_Object, inner)
    if isinstance(inner, str):
        return {**outer, "message": inner}
    return outer


def _from_words(found: _Object) -> tuple[ErrorKind, int]:
    for key in ("code", "type", "status"):
        value: object = found.get(key)
        if isinstance(value, str) and value in _KIND_OF_WORD:
            return _KIND_OF_WORD[value]
        number = _status_number(value)
        if number:
            return _KIND_OF_STATUS.get(number) or ("upstream" if number >= 500 else "invalid_request"), number
    return "upstream", 502


def _status_number(value: object) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) == 3:
        value = int(value)
    return value if isinstance(value, int) and 400 <= value < 600 else 0


def _text(value: object) -> str:
    """A message: text, or FastAPI's list of `{loc, msg}`, or an object with its own `message`."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict):
        inner = cast(_Object, value)
        return _text(inner.get("message")) or _text(inner.get("detail"))
    if isinstance(value, list):
        parts = [
            _located(cast(_Object, item)) for item in cast(list[object], value) if isinstance(item, dict)
        ]
        return "; ".join(part for part in parts if part)
    return ""


def _located(item: _Object) -> str:
    where: object = item.get("loc")
    path = ".".join(str(step) for step in cast(list[object], where)) if isinstance(where, list) else ""
    said = _text(item.get("msg"))
    return f"{path}: {said}" if path and said else said


def _plain_text(body: bytes) -> str:
    """The body itself when it is short plain text; markup and JSON say nothing to a person."""
    text = body[: _MAX_MESSAGE * 4].decode("utf-8", "replace").strip()
    return "" if text.startswith(("<", "{", "[")) else text


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and value and not value.isdecimal() else None


def _seconds(retry_after: str | None) -> float | None:
    try:
        seconds = float(retry_after) if retry_after else -1.0
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None
