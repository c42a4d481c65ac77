"""A call that gets the answer of another one: what is there already at once, the rest as it comes.

It reads the other's record at its own client's pace, and has a receipt of its own, at no cost. When the other
comes to nothing before a byte has gone to this client, it asks for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from freehold.cache.answers import Hit, whole_of
from freehold.cache.flights import Flight
from freehold.cache.stored import Stored, kept_headers
from freehold.gateway import headers as passing
from freehold.gateway import replies
from freehold.gateway.error_answer import answer_error, pass_error_on
from freehold.gateway.kept import Kept
from freehold.gateway.lease import deadline_left_s
from freehold.gateway.settle import settle

if TYPE_CHECKING:
    from freehold.gateway.call import Call

_STREAMS = (b"text/event-stream", b"application/x-ndjson")
_WORDS = {
    "shared": "shared with an equal call under way",
    "resumed": "goes on with the answer to the same turn, whose client was cut off",
}


class Following:
    """Implements `flights.Follower`. `gathers`: a stream is wanted as one whole answer."""

    __slots__ = (
        "_at",
        "_before",
        "_chunked",
        "_full",
        "_last",
        "_route",
        "_started",
        "call",
        "flight",
        "gathers",
        "kind",
    )

    def __init__(
        self, call: Call, flight: Flight, kind: Literal["shared", "resumed"], *, gathers: bool = False
    ) -> None:
        self.call = call
        self.flight = flight
        self.kind: Literal["shared", "resumed"] = kind
        self.gathers = gathers
        self._before = call.kept
        self._route = call.route
        self._at = 0
        """Pieces of the record that have gone to the client."""
        self._started = False
        self._chunked = False
        self._full = False
        """The client reads too slowly; it is told more when there is room."""
        self._last = b""

    def begin(self) -> None:
        """Take part."""
        call, flight = self.call, self.flight
        call.following = self
        call.route = f"{_WORDS[self.kind]} ({flight.receipt})"
        call.kept = Kept(None, Hit(stored=_nothing_yet(flight), kind=self.kind, age_s=0))
        if flight.ending:
            self.ended()
            return
        flight.follow(self)
        left_s = deadline_left_s(call)
        if left_s is not None and not self.gathers:
            call.deadline_s = call.gateway.loop.time() + max(0.0, left_s)
        self.more()

    # -- flights.Follower

    def more(self) -> None:
        flight = self.flight
        if not flight.status or self._full or self.gathers:
            return
        if not self._started and not self._start():
            return
        data = self._unread()
        if data:
            self.call.count_response(data)
            self.call.conn.write(replies.chunk(data) if self._chunked else data)

    def ended(self) -> None:
        call, flight = self.call, self.flight
        call.following = None
        if call.settled:
            return
        stored = flight.stored
        if stored is not None and self.gathers:
            stored = whole_of(call.endpoint.name, stored)
        if stored is not None:
            self._whole(stored)
        elif self._started:
            self._cut()
        elif flight.refusal is not None:
            error, bad = flight.refusal
            if bad is None:
                answer_error(call, error)
            else:
                pass_error_on(call, error, bad)
        else:
            self.go_alone()

    # -- for the call

    def go_alone(self) -> None:
        """As if there had been nobody to follow."""
        self._as_before()
        self.call.proceed()

    def _as_before(self) -> None:
        call = self.call
        call.following = None
        call.deadline_s = 0.0
        call.kept, call.route = self._before, self._route
        if call.captured is not None:
            call.captured = []

    def give_up(self) -> None:
        """Its own deadline is over."""
        if not self._started:
            self.flight.leave(self)
            self._as_before()
            if self.call.choose():
                self.call.attempt()

    def writable(self, ready: bool) -> None:
        """The client can(not) take more."""
        self._full = not ready
        if ready:
            self.more()

    @property
    def started(self) -> bool:
        """Something has gone to the client."""
        return self._started

    def probe(self) -> None:
        """Something harmless for a client that may be gone."""
        if self._chunked and self.call.dialect != "ollama":
            self.call.conn.write(replies.chunk(b": \n\n"))

    # -- inside

    def _start(self) -> bool:
        """Write the head, if this is a stream. Whole answers wait for their end."""
        flight, call = self.flight, self.call
        kind = next((value for name, value in flight.headers if name == b"content-type"), b"")
        if not kind.startswith(_STREAMS):
            return False
        self._started = True
        self._chunked = not call.request.http10
        call.status = flight.status
        framing = [(b"transfer-encoding", b"chunked")] if self._chunked else []
        call.conn.write(replies.head(flight.status, [*self._lines(), *framing]))
        return True

    def _lines(self) -> list[tuple[bytes, bytes]]:
        call = self.call
        lines = [
            *kept_headers(self.flight.headers),
            (b"x-freehold-receipt", call.id.encode()),
            (b"x-freehold-deployment", passing.safe_value(self.flight.leader.answering)),
            (b"x-freehold-route", passing.safe_value(call.route)),
            (b"x-freehold-cache", self.kind.encode()),
        ]
        if not call.request.keep_alive or call.request.http10:
            lines.append((b"connection", b"close"))
        return lines

    def _unread(self) -> bytes:
        pieces = self.flight.pieces
        at, self._at = self._at, len(pieces)
        return b"".join(pieces[at:])

    def _whole(self, stored: Stored) -> None:
        call = self.call
        call.kept = Kept(None, Hit(stored=stored, kind=self.kind, age_s=0))
        call.status = stored.status
        self._last = stored.body if not self._started else self._unread()
        if self._last:
            call.count_response(self._last)
        if not self._started and not self.gathers:
            self._start()  # a stream that has come all at once
        settle(call, "ok", then=self._send_last)

    def _send_last(self) -> None:
        call, last = self.call, self._last
        if not self._started:
            headers = [line for line in self._lines() if line[0] != b"content-type"]
            content_type = (b"content-type", self._content_type())
            length = (b"content-length", b"%d" % len(last))
            call.conn.write(replies.head(call.status, [content_type, *headers, length]) + last)
            call.conn.done()
        else:
            self._finish(last)
        call.release()

    def _content_type(self) -> bytes:
        hit = self.call.kept.hit if self.call.kept is not None else None
        headers = hit.stored.headers if hit is not None else ()
        return next((value for name, value in headers if name == b"content-type"), replies.JSON_TYPE)

    def _cut(self) -> None:
        """The answer broke off after its beginning had gone out."""
        if not self.flight.told:
            settle(self.call, "truncated", self.flight.reason)
            self.call.conn.abort()  # a clean end would pass for a whole answer
            return
        last = self._unread()
        if last:
            self.call.count_response(last)
        settle(self.call, "truncated", self.flight.reason)
        self._finish(last)
        self.call.release()

    def _finish(self, last: bytes) -> None:
        conn = self.call.conn
        if self._chunked:
            conn.write((replies.chunk(last) if last else b"") + replies.LAST_CHUNK)
        elif last:
            conn.write(last)
        conn.done(keep=self._chunked)


def _nothing_yet(flight: Flight) -> Stored:
    """What is known of an answer under way."""
    return Stored(
        form=flight.form,
        status=flight.status,
        headers=(),
        body=b"",
        receipt=flight.receipt,
        deployment=flight.leader.answering,
        stored_ms=0,
        expires_ms=0,
    )
