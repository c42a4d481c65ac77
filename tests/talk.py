"""What clients of each dialect send, and what they may expect of an error: shared by walks and attacks."""

from __future__ import annotations

import json
from typing import Any

from tests.wire import Answer

PATHS = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
HOMES = {"chat": "alpha", "completions": "alpha", "messages": "claude", "responses": "alpha"}
"""The town's provider that speaks the dialect itself."""

BOUNDARY = "frontier-123"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}

DIALECTS = ("chat", "messages", "responses")


def asking(dialect: str, model: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    """A small valid request."""
    turn = [{"role": "user", "content": text}]
    body = {
        "chat": {"messages": turn},
        "completions": {"prompt": text},
        "messages": {"messages": turn, "max_tokens": 64},
        "responses": {"input": text},
    }[dialect]
    return {"model": model} | body | more


def dialect_headers(dialect: str) -> dict[str, str]:
    return {"anthropic-version": "2023-06-01"} if dialect == "messages" else {}


def error_of(dialect: str, answer: Answer) -> dict[str, Any]:
    """The error object, after checking that the envelope around it is the dialect's own."""
    assert answer.status >= 400, answer
    assert (answer.header("content-type") or "").startswith("application/json")
    assert answer.header("x-freehold-receipt")
    return envelope_of(dialect, answer.json())


def envelope_of(dialect: str, body: dict[str, Any]) -> dict[str, Any]:
    if dialect == "messages":
        assert body["type"] == "error"
        assert body["request_id"]
        assert set(body["error"]) >= {"type", "message"}
    else:
        assert set(body["error"]) >= {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return body["error"]


def event_name(event: bytes) -> str:
    """The `event:` line's value, "" when there is none (chat)."""
    for line in event.splitlines():
        if line.startswith(b"event:"):
            return line[6:].strip().decode()
    return ""


def event_data(event: bytes) -> Any:
    """The decoded data; the text itself for [DONE]; None for a comment."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    if not lines:
        return None
    joined = b"\n".join(lines)
    return joined.decode() if joined == b"[DONE]" else json.loads(joined)


def is_error_event(dialect: str, event: bytes) -> bool:
    data = event_data(event)
    if not isinstance(data, dict):
        return False
    if dialect == "messages":
        return event_name(event) == "error" and data["type"] == "error" and bool(data["error"]["message"])
    if dialect == "responses":
        return event_name(event) in ("error", "response.failed")
    return bool(data.get("error"))


def upload(model: str, content: bytes, *, model_last: bool = False) -> bytes:
    """A multipart form with a file and a model field."""
    field = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="model"\r\n\r\n{model}\r\n'.encode()
    file = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n'
        "content-type: audio/wav\r\n\r\n"
    ).encode()
    file += content + b"\r\n"
    return (file + field if model_last else field + file) + f"--{BOUNDARY}--\r\n".encode()
