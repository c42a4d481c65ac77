"""Answers that are streams of events: passed on untouched, or translated one by one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from freehold.core.catalog import Dialect
from freehold.dialects.context import TranslationContext
from freehold.dialects.errors import error_event
from freehold.dialects.sse import EventSplitter, EventTooLong, event_data
from freehold.gateway import headers as passing
from freehold.gateway import replies
from freehold.gateway.relay import Header, Relay
from freehold.gateway.settle import settle
from freehold.gateway.tap import is_usage_only

if TYPE_CHECKING:
    from freehold.gateway.call import Call


class EventRelay(Relay):
    """Server-sent events in the client's own dialect: untouched, except a usage event nobody asked for."""

    __slots__ = (
        "_before",
        "_dialect",
        "_filter",
        "_held_bytes",
        "_last",
        "_marks",
        "_partial",
        "_splitter",
        "_strip",
    )

    def __init__(self, call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes]) -> None:
        super().__init__(call, status, headers, fields)
        assert call.prepared is not None
        self._splitter = EventSplitter()
        self._before = b""
        """The last piece that bears no mark: in chat it says why the answer ends."""
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
                self._before = data
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
            if mark in event:
                if self._look(event):
                    return
                break
        else:
            self._before = event
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
        self.call.status = self.status
        if self._dialect == "chat" and not self.tap.finish:
            found = _FINISH.findall(self._before)
            self.tap.finish = found[-1].decode("ascii") if found else ""
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
            self.call.status = self.status
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
        self.tap.finish = self._translator.finish
        if said:
            self._count(said)
            self._out.append(said)
        if self._translator.finished:
            self._settle()

    def _settle(self) -> None:
        if self.call.settled:
            return
        self.call.status = self.status
        self.call.losses = tuple(dict.fromkeys((*self.call.losses, *self._translator.losses)))
        failure = self._translator.failure
        settle(self.call, "truncated" if failure else "ok", failure)

    def end(self) -> None:
        self._say(self._translator.end())
        self._settle()
        self._send_rest()

    def cut(self, reason: str) -> None:
        if not self.call.settled:
            self.call.status = self.status
            said = self._translator.fail(self._upstream_error(reason))
            self._count(said)
            self._out.append(said)
            settle(self.call, "truncated", reason)
        self._send_rest()

    def passed_headers(self) -> list[Header]:
        kind = b"application/x-ndjson" if self._context.client == "ollama" else replies.SSE_TYPE
        return [
            *passing.returned_translated(self.headers),
            (b"content-type", kind),
            (b"cache-control", b"no-cache"),
        ]

    def probe(self) -> None:
        if self._chunked and self._context.client != "ollama":
            self.call.conn.write(replies.chunk(b": \n\n"))


_FINISH = re.compile(rb'"finish_reason": ?"([a-z_A-Z]{1,40})"')
_MARKS: dict[str, tuple[bytes, ...]] = {
    "chat": (b'"usage"', b"[DONE]", b'"error"'),
    "messages": (b"message_", b'"error"'),
    "responses": (b'"response"', b'"error"'),
    "ollama": (),
}
"""Bytes without which an event of a dialect tells nothing about usage, its end or a failure.
Inside JSON strings quotes are escaped, so text cannot look like a key."""
