"""What all ways of an answer back to its client have in common: the head, the queue of pieces, the ends.

The four ways are in `whole` and `events`; `ways` picks one. Nothing is written before the first `flush`, so
an attempt that dies inside its first packet can still be made elsewhere; the last bytes leave only after the
receipt is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.core.errors import CallError
from freehold.gateway import headers as passing
from freehold.gateway import replies
from freehold.gateway.judge import Judge
from freehold.gateway.record import Measured
from freehold.gateway.tap import Tap

if TYPE_CHECKING:
    from freehold.gateway.call import Call

Header = tuple[bytes, bytes]


class Relay:
    """Common part: the head, the queue of pieces, and the three ends (`end`, `cut`, the client leaving)."""

    __slots__ = (
        "_chunked",
        "_out",
        "call",
        "committed",
        "events",
        "headers",
        "judge",
        "request_id",
        "status",
        "tap",
    )

    def __init__(self, call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes]) -> None:
        assert call.prepared is not None
        self.call = call
        self.tap = Tap(call.prepared.dialect)
        self.events: int = 0
        """Stream events seen, for an estimate when usage never comes."""
        self.judge: Judge | None = None
        """Holds the answer back until it is seen to be good enough."""
        self.request_id = fields.get(b"x-request-id") or fields.get(b"request-id") or b""
        self.committed = call.signs is not None and call.signs.opened
        """Something of this answer (or a sign of life) has gone to the client."""
        self.status = status
        self.headers = headers
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
        if out and self.judge is None and self.call.conn.open:
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
        call.status = self.status
        framing = b""
        if self.status in (204, 304):
            pass  # no body by definition, so no framing
        elif length is not None:
            framing = b"content-length: %d\r\n" % length
        elif not call.request.http10:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        if not call.request.keep_alive or (length is None and call.request.http10):
            framing += b"connection: close\r\n"
        passed = self.passed_headers()
        if call.flight is not None:
            call.flight.began(self.status, passed)
        head = b"%b%b%b%b\r\n%b" % (
            replies.status_line(self.status),
            b"".join([b"%b: %b\r\n" % line for line in passed]),
            framing,
            self._own_headers(measured),
            body,
        )
        call.conn.write(head)

    def passed_headers(self) -> list[Header]:
        return passing.returned(self.headers)

    def _own_headers(self, measured: Measured | None) -> bytes:
        call = self.call
        label = call.target.label if call.target is not None else b""
        own = b"x-freehold-receipt: %b\r\nx-freehold-deployment: %b\r\nx-freehold-route: %b\r\n" % (
            call.id.encode(),
            label,
            passing.safe_value(call.route),
        )
        if call.kept is not None:
            own += b"x-freehold-cache: miss\r\n"
        if call.money is not None and call.money.limit:
            own += b"x-freehold-output-limit: %d\r\n" % call.money.limit
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
