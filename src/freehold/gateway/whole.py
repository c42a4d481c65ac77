"""Answers that are one body: passed on as they come, or gathered and translated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from freehold.dialects.context import TranslationContext, TranslationError
from freehold.gateway import headers as passing
from freehold.gateway import replies
from freehold.gateway.relay import Header, Relay
from freehold.gateway.settle import settle

if TYPE_CHECKING:
    from freehold.gateway.call import Call

_TAP_BYTES = 16 * 1024 * 1024
"""Larger whole answers (embeddings, images) pass without their usage being read."""


class WholeRelay(Relay):
    """Not a stream of events: JSON, audio, anything. Bytes untouched; JSON is read for its usage."""

    __slots__ = ("_kept", "_kept_bytes", "_length")

    def __init__(self, call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes]) -> None:
        super().__init__(call, status, headers, fields)
        self._kept: list[bytes] | None = [] if b"json" in fields.get(b"content-type", b"") else None
        self._kept_bytes = 0
        length = fields.get(b"content-length")
        self._length = int(length) if length is not None and length.isdigit() else None

    def feed(self, data: bytes) -> None:
        self.call.count_response(data)
        self._out.append(data)
        if self._kept is not None:
            self._kept.append(data)
            self._kept_bytes += len(data)
            if self._kept_bytes > _TAP_BYTES:
                self._kept = None

    def flush(self) -> None:
        if self._out and not self.committed and self.judge is None and self.call.conn.open:
            self.committed = True
            self._start(self._length)
        super().flush()

    def end(self) -> None:
        if self._kept:
            self.tap.whole(self._kept[0] if len(self._kept) == 1 else b"".join(self._kept))
            self.call.gateway.remember_stored(self.call, self.tap.answer_id)
        self.call.status = self.status
        settle(self.call, "ok", then=self._send_last)

    def _send_last(self) -> None:
        measured = self.call.measured
        out, self._out = self._out, []
        rest = out[0] if len(out) == 1 else b"".join(out)
        if not self.committed:
            self.committed = True
            length = len(rest) if self.call.request.method != b"HEAD" else self._length or 0
            self._start(length, measured, rest)
        elif rest and self.call.conn.open:
            self.call.conn.write(replies.chunk(rest) if self._chunked else rest)
        if self._chunked:
            self._finish()
        else:
            self.call.conn.done()
            self.call.release()

    def cut(self, reason: str) -> None:
        settle(self.call, "truncated", reason)
        self.call.conn.abort()  # a clean end would pass for a whole answer


class TranslatedWhole(Relay):
    """A whole answer in another dialect: gathered, translated, sent."""

    __slots__ = ("_body", "_context", "_said")

    def __init__(
        self,
        call: Call,
        status: int,
        headers: list[Header],
        fields: dict[bytes, bytes],
        context: TranslationContext,
    ) -> None:
        super().__init__(call, status, headers, fields)
        self._context = context
        self._body = bytearray()
        self._said = b""

    def feed(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > self.call.gateway.limits.answer_bytes:
            self.call.drop_upstream()  # and no other try: it would be as large, and be paid again
            self.call.refuse(self._upstream_error("its answer is too large to be translated"))

    def end(self) -> None:
        from freehold.dialects.answers import translate_answer  # noqa: PLC0415 - only translated calls pay

        upstream_body = bytes(self._body)
        self.tap.whole(upstream_body)
        try:
            body = translate_answer(upstream_body, self._context)
        except (TranslationError, msgspec.MsgspecError) as error:
            self.call.refuse(self._upstream_error(f"its answer cannot be translated: {error}"))
            return
        self._count(body)
        self._said = body
        self.call.status = self.status
        settle(self.call, "ok", then=self._send_last)

    def _send_last(self) -> None:
        self.committed = True
        self._start(len(self._said), self.call.measured, self._said)
        self.call.conn.done()
        self.call.release()

    def passed_headers(self) -> list[Header]:
        return [*passing.returned_translated(self.headers), (b"content-type", replies.JSON_TYPE)]

    def cut(self, reason: str) -> None:
        settle(self.call, "truncated", reason)
        self.call.conn.abort()
