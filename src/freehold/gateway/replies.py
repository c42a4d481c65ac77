"""HTTP answers as bytes: status lines, heads, chunks. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus

JSON_TYPE = b"application/json"
SSE_TYPE = b"text/event-stream; charset=utf-8"
LAST_CHUNK = b"0\r\n\r\n"

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_LINES = {code: b"HTTP/1.1 %d %b\r\n" % (code, phrase) for code, phrase in _PHRASES.items()}


def status_line(status: int) -> bytes:
    return _LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status


def head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Status line and headers with the empty line. Values must hold no CR or LF."""
    return status_line(status) + b"".join([b"%b: %b\r\n" % line for line in headers]) + b"\r\n"


def whole(
    status: int, body: bytes, content_type: bytes = JSON_TYPE, extra: Iterable[tuple[bytes, bytes]] = ()
) -> bytes:
    """A complete answer with its length."""
    fixed = ((b"content-type", content_type), (b"content-length", b"%d" % len(body)))
    return head(status, (*fixed, *extra)) + body


def chunk(data: bytes) -> bytes:
    """`data` (not empty) as one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def plain_error(status: int, message: str, retry_after_s: float | None = None) -> bytes:
    """For requests that were never understood well enough to know their dialect."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": f"http_{status}"}
    body = json.dumps({"error": error}).encode()
    extra = [(b"connection", b"close")]
    if retry_after_s is not None:
        extra.append((b"retry-after", b"%d" % max(1, round(retry_after_s))))
    return whole(status, body, extra=extra)
