"""An upstream's answer with an error status: gathered whole, read, and passed on where that is right."""

from __future__ import annotations

import re

from freehold.core.errors import CallError
from freehold.dialects.errors import parse_error
from freehold.gateway import headers as passing
from freehold.routing.fallback import Failure

_TOO_LONG = re.compile(r"context (?:length|size|window)|prompt is too long|too many tokens", re.IGNORECASE)
_BODY_BYTES = 1024 * 1024


class BadAnswer:
    """`secret` is the key that was sent: some providers repeat the key that they refuse."""

    __slots__ = ("_bytes", "_chunks", "_headers", "_lookup", "_secret", "status")

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], secret: bytes) -> None:
        self.status = status
        self._headers = headers
        self._lookup = dict(headers)
        self._secret = secret
        self._chunks: list[bytes] = []
        self._bytes = 0

    def add(self, data: bytes) -> bool:
        """A piece of its body; False when it is too large to be read."""
        self._chunks.append(data)
        self._bytes += len(data)
        return self._bytes <= _BODY_BYTES

    @property
    def body(self) -> bytes:
        whole = b"".join(self._chunks)
        return whole.replace(self._secret, b"***") if self._secret else whole

    @property
    def passes(self) -> bool:
        """Whether a client of the same dialect can read it as it is."""
        return bool(self._chunks) and b"json" in self._lookup.get(b"content-type", b"")

    @property
    def passed_headers(self) -> list[tuple[bytes, bytes]]:
        return passing.returned(self._headers)

    @property
    def request_id(self) -> bytes:
        return self._lookup.get(b"x-request-id") or self._lookup.get(b"request-id") or b""

    def error(self, now_ms: int) -> CallError:
        """In our words."""
        wait_s = passing.retry_after_s(self._lookup, now_ms)
        return parse_error(self.status, self.body, None if wait_s is None else str(wait_s))

    def failure(self, error: CallError) -> Failure:
        """As `routing.fallback` wants to know it."""
        final = error.code == "insufficient_quota" or self._lookup.get(b"x-should-retry") == b"false"
        long = self.status in (400, 413) and (
            error.code == "context_length_exceeded" or _TOO_LONG.search(error.message)
        )
        return Failure(
            status=self.status, retry_after_s=error.retry_after_s, final_here=final, too_long=bool(long)
        )
