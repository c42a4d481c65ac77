"""The answer on its way back to the client: relayed as it comes, its usage read in passing.

Four ways, one shape: whole or streamed, same dialect (the upstream's bytes) or translated (ours).
Nothing is written before the first `flush`, so an attempt that dies inside its first packet can still be
made elsewhere; the last bytes leave only after the receipt is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from freehold.core.catalog import Dialect
from freehold.core.errors import CallError
from freehold.dialects.context import TranslationContext, TranslationError
from freehold.dialects.errors import error_event
from freehold.dialects.sse import EventSplitter, EventTooLong, event_data
from freehold.gateway import headers as passing
from freehold.gateway import replies
from freehold.gateway.record import Measured
from freehold.gateway.settle import settle
from freehold.gateway.tap import Tap, is_usage_only

if TYPE_CHECKING:
    from freehold.gateway.call import Call

Header = tuple[bytes, bytes]

_TAP_BYTES = 16 * 1024 * 1024
"""Larger whole answers (embeddings, images) pass without their usage being read."""


def relay_for(call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes]) -> Relay:
    """The way back for an answer that began with `status` (< 400) and `headers` (`fields`: as a mapping)."""
    prepared = call.prepared
    assert prepared is not None
    content_type = fields.get(b"content-type", b"")
    streamed = content_type.startswith(b"text/event-stream")
    if prepared.context is not None:
        if streamed:
            return TranslatedStream(call, status, headers, fields, prepared.context)
        return TranslatedWhole(call, status, headers, fields, prepared.context)
    if streamed:
        return EventRelay(call, status, headers, fields)
    return WholeRelay(call, status, headers, fields)


class Relay:
    """Common part: the head, the queue of pieces, and the three ends (`end`, `cut`, the client leaving)."""

    __slots__ = (
        "_chunked",
        "_headers",
        "_out",
        "_status",
        "call",
        "committed",
        "events",
        "request_id",
        "tap",
    )

    def __init__(self, call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes]) -> None:
        assert call.prepared is not None
        self.call = call
        self.tap = Tap(call.prepared.dialect)
        self.events: int = 0
        """Stream events seen, for an estimate when usage never comes."""
        self.request_id = fields.get(b"x-request-id") or fields.get(b"request-id") or b""
        self.committed = call.signs is not None and call.signs.opened
        """Something of this answer (or a sign of life) has gone to the client."""
        self._status = status
        self._headers = headers
        self._chunked = False
        self._out: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """A piece of the upstream's body."""
        raise NotImplementedError

    def end(self) -> None:
        """The upstream's body is whole."""
        raise NotImplementedError

    def cut(self, reason: str) -> None:
        """The upstream broke off after something was sent."""
        raise NotImplementedError

    def flush(self) -> None:
        """Send what was gathered."""
        out = self._out
        if out and self.call.conn.open:
            self._out = []
            self._write(out[0] if len(out) == 1 else b"".join(out))

    def probe(self) -> None:
        """Only event streams have something harmless to say."""

    # -- shared by the ways

    def _write(self, data: bytes) -> None:
        if not self.committed:
            self.committed = True
            self._start(None)
        self.call.conn.write(replies.chunk(data) if self._chunked else data)

    def _start(self, length: int | None, measured: Measured | None = None, body: bytes = b"") -> None:
        """Write the head: with `length`, or chunked (HTTP/1.0: until the connection closes). A `body` that
        is there already goes with it."""
        call = self.call
        call.status = self._status
        framing = b""
        if self._status in (204, 304):
            pass  # no body by definition, so no framing
        elif length is not None:
            framing = b"content-length: %d\r\n" % length
        elif not call.request.http10:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        if not call.request.keep_alive or (length is None and call.request.http10):
            framing += b"connection: close\r\n"
        head = b"%b%b%b%b\r\n%b" % (
            replies.status_line(self._status),
            b"".join([b"%b: %b\r\n" % line for line in self._passed_headers()]),
            framing,
            self._own_headers(measured),
            body,
        )
        call.conn.write(head)

    def _passed_headers(self) -> list[Header]:
        return passing.returned(self._headers)

    def _own_headers(self, measured: Measured | None) -> bytes:
        call = self.call
        label = call.target.label if call.target is not None else b""
        own = b"x-freehold-receipt: %b\r\nx-freehold-deployment: %b\r\nx-freehold-route: %b\r\n" % (
            call.id.encode(),
            label,
            passing.safe_value(call.route),
        )
        if call.losses:
            own += b"x-freehold-lossy: %b\r\n" % passing.safe_value(", ".join(call.losses))
        if measured is not None and measured.cost_state not in ("unknown", "free"):
            own += b"x-freehold-cost-nanos: %d\r\n" % measured.cost_nanos
        return own

    def _count(self, data: bytes) -> None:
        self.call.count_response(data)

    def _send_rest(self) -> None:
        """What is left of a stream, its head if nothing was sent yet, and its end."""
        self.flush()
        if not self.committed:
            self.committed = True
            self._start(None)
        self._finish()

    def _finish(self) -> None:
        """The last of a body without a known length."""
        if self.call.conn.open and self._chunked:
            self.call.conn.write(replies.LAST_CHUNK)
        self.call.conn.done(keep=self._chunked)
        self.call.release()

    def _upstream_error(self, message: str) -> CallError:
        place = self.call.tries[-1].deployment
        return CallError(kind="upstream", status=502, source="upstream", message=f"{place}: {message}")


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
        if self._out and not self.committed and self.call.conn.open:
            self.committed = True
            self._start(self._length)
        super().flush()

    def end(self) -> None:
        if self._kept:
            self.tap.whole(self._kept[0] if len(self._kept) == 1 else b"".join(self._kept))
            self.call.gateway.remember_stored(self.call, self.tap.answer_id)
        self.call.status = self._status
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


class EventRelay(Relay):
    """Server-sent events in the client's own dialect: untouched, except a usage event nobody asked for."""

    __slots__ = ("_dialect", "_filter", "_held_bytes", "_last", "_marks", "_partial", "_splitter", "_strip")

    def __init__(self, call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes]) -> None:
        super().__init__(call, status, headers, fields)
        assert call.prepared is not None
        self._splitter = EventSplitter()
        self._held_bytes = call.gateway.limits.event_bytes
        self._partial = False
        self._last = False
        self._strip = call.prepared.strip_usage
        self._dialect: Dialect = call.prepared.dialect
        self._marks = _MARKS[self._dialect]
        self._filter = call.signs.filter() if call.signs is not None and call.signs.opened else None
        self._chunked = self.committed

    def feed(self, data: bytes) -> None:
        if not self._partial and data.endswith(b"\n\n") and self._filter is None:
            for mark in self._marks:
                if mark in data:
                    break
            else:  # the usual event: only deltas, whole
                self.events += 1
                self.call.count_response(data)
                if self._chunked and not self._out:
                    self.call.conn.write(b"%x\r\n%b\r\n" % (len(data), data))
                else:
                    self._out.append(data)
                return
        try:
            events = self._splitter.feed(data)
        except EventTooLong as error:
            self.call.drop_upstream()
            self.call.failed(str(error))
            return
        for event in events:
            self._event(event)
        rest = self._splitter.rest
        self._partial = bool(rest)
        if len(rest) > self._held_bytes:  # nothing that we must know is so long: let it pass in pieces
            self._splitter = EventSplitter()
            self._count(rest)
            self._out.append(rest)

    def _event(self, event: bytes) -> None:
        self.events += 1
        for mark in self._marks:
            if mark in event and self._look(event):
                return
        if self._filter is not None:
            event = self._filter.feed([event])
        if event:
            self._count(event)
            self._out.append(event)
        if self._last:  # the receipt is written before the client can take the answer for whole
            self._last = False
            self._settle_ok()

    def _look(self, event: bytes) -> bool:
        """Read an event that may matter; True when it is not to be passed on."""
        data = event_data(event)
        if data == b"[DONE]":
            self._last = True
            return False
        self.tap.event(data)
        if self._strip and b'"choices"' in data and is_usage_only(data):
            return True
        self._last = self._dialect != "chat" and self.tap.terminal
        return False

    def _settle_ok(self) -> None:
        self.call.status = self._status
        if self.tap.answer_id:
            self.call.gateway.remember_stored(self.call, self.tap.answer_id)
        if self.tap.error:
            settle(self.call, "truncated", self.tap.error)
        else:
            settle(self.call, "ok")

    def end(self) -> None:
        rest = self._splitter.rest
        if rest:
            self._count(rest)
            self._out.append(rest)
        if not self.call.settled and self._dialect in ("messages", "responses") and self.tap.began:
            self.cut("the stream ended without its last event")
            return
        self._settle_ok()
        self._send_rest()

    def cut(self, reason: str) -> None:
        if not self.call.settled:
            self.call.status = self._status
            error = self._upstream_error(reason)
            event = error_event(
                error, self._dialect, self.call.id, self._sequence(), answer_id=self._answer_id()
            )
            self._count(event)
            self._out.append(event)
            settle(self.call, "truncated", reason)
        self._send_rest()

    def probe(self) -> None:
        if self._chunked:
            self.call.conn.write(replies.chunk(b": \n\n"))

    def _sequence(self) -> int:
        """The number of the next Responses event."""
        signs = self.call.signs
        return self.events + (signs.sent if signs is not None else 0)

    def _answer_id(self) -> str:
        """The response id that the client knows: ours when signs of life were sent."""
        return f"resp_{self.call.id}" if self._filter is not None else self.tap.answer_id


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
        self.call.status = self._status
        settle(self.call, "ok", then=self._send_last)

    def _send_last(self) -> None:
        self.committed = True
        self._start(len(self._said), self.call.measured, self._said)
        self.call.conn.done()
        self.call.release()

    def _passed_headers(self) -> list[Header]:
        return [*passing.returned_translated(self._headers), (b"content-type", replies.JSON_TYPE)]

    def cut(self, reason: str) -> None:
        settle(self.call, "truncated", reason)
        self.call.conn.abort()


class TranslatedStream(Relay):
    """Events in another dialect: translated one by one as they come."""

    __slots__ = ("_context", "_translator")

    def __init__(
        self,
        call: Call,
        status: int,
        headers: list[Header],
        fields: dict[bytes, bytes],
        context: TranslationContext,
    ) -> None:
        from freehold.dialects.streams import stream_translator  # noqa: PLC0415 - only translated calls pay

        super().__init__(call, status, headers, fields)
        self._context = context
        opened = call.signs.sent if call.signs is not None else 0
        self._translator = stream_translator(context, opened_events=opened)
        self._chunked = self.committed

    def feed(self, data: bytes) -> None:
        self.events += data.count(b"\n\n")
        self._say(self._translator.feed(data))

    def _say(self, said: bytes) -> None:
        self.tap.usage_raw = self._translator.usage_raw
        if said:
            self._count(said)
            self._out.append(said)
        if self._translator.finished:
            self._settle()

    def _settle(self) -> None:
        if self.call.settled:
            return
        self.call.status = self._status
        self.call.losses = tuple(dict.fromkeys((*self.call.losses, *self._translator.losses)))
        failure = self._translator.failure
        settle(self.call, "truncated" if failure else "ok", failure)

    def end(self) -> None:
        self._say(self._translator.end())
        self._settle()
        self._send_rest()

    def cut(self, reason: str) -> None:
        if not self.call.settled:
            self.call.status = self._status
            said = self._translator.fail(self._upstream_error(reason))
            self._count(said)
            self._out.append(said)
            settle(self.call, "truncated", reason)
        self._send_rest()

    def _passed_headers(self) -> list[Header]:
        kind = b"application/x-ndjson" if self._context.client == "ollama" else replies.SSE_TYPE
        return [
            *passing.returned_translated(self._headers),
            (b"content-type", kind),
            (b"cache-control", b"no-cache"),
        ]

    def probe(self) -> None:
        if self._chunked and self._context.client != "ollama":
            self.call.conn.write(replies.chunk(b": \n\n"))


_MARKS: dict[str, tuple[bytes, ...]] = {
    "chat": (b'"usage"', b"[DONE]", b'"error"'),
    "messages": (b"message_", b'"error"'),
    "responses": (b'"response"', b'"error"'),
    "ollama": (),
}
"""Bytes without which an event of a dialect tells nothing about usage, its end or a failure.
Inside JSON strings quotes are escaped, so text cannot look like a key."""
