"""Signs of life for a call that waits for a model server: in the client's dialect, before any answer.

Only event streams can be given signs; other clients are held. The first sign fixes the status to 200, so
from then on even a failure is told inside the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.core.errors import CallError
from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal
from freehold.dialects.errors import error_event
from freehold.dialects.signs import StreamContinuation, after_opening, keepalive, opening
from freehold.gateway import headers as passing
from freehold.gateway import replies
from freehold.gateway.record import outcome_of
from freehold.gateway.settle import settle

if TYPE_CHECKING:
    from freehold.gateway.call import Call


class Signs:
    """The wait of one call for one server at a time."""

    def __init__(self, call: Call, *, first_s: float, every_s: float) -> None:
        self.opened = False
        """The head and at least one sign have been sent."""
        self.sent = 0
        """Numbered events sent so far (Responses)."""
        self.waits_for = ""
        self.since_ns = 0
        """What the call waits for, in words, and since when."""
        self._call = call
        self._first_s = first_s
        self._every_s = every_s
        self._cancel: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> bool:
        return self._cancel is not None

    def wait(self, server: str, ask: LeaseAsk) -> None:
        """Call `Call.leased` when there is a slot or will be none; meanwhile show life."""
        self._cancel = self._call.gateway.servers.wait(server, ask, self._answered)
        if (
            self._call.seen.stream is True
            and not self._call.request.http10
            and self._call.endpoint.carriage == "dialect"
        ):
            delay_s = self._every_s if self.opened else self._first_s
            self._timer = self._call.gateway.loop.call_later(delay_s, self._tick)

    def stop(self) -> None:
        """Wait no longer."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sign(self) -> None:
        """Send one sign (the first one with the head)."""
        call = self._call
        model, created_s = call.seen.model or "", call.started_ms // 1000
        if self.opened:
            said = keepalive(
                call.dialect, answer_id=call.id, model=model, created_s=created_s, sequence=self.sent
            )
        else:
            self.opened = True
            call.status = 200
            call.conn.write(self._head())
            if call.flight is not None:
                call.flight.began(200, [(b"content-type", self._kind())])
            said = opening(call.dialect, answer_id=call.id, model=model, created_s=created_s)
        call.count_response(said)
        self.sent += 1
        call.conn.write(replies.chunk(said))
        if call.flight is not None and call.flight.followers:
            call.flight.grown()

    def filter(self) -> StreamContinuation:
        """What makes a same-dialect stream fit behind the signs already sent."""
        return after_opening(self._call.dialect, answer_id=self._call.id, sequence=self.sent)

    def fail(self, error: CallError) -> None:
        """An honest end in the stream that was opened, instead of an error status."""
        call = self._call
        call.status = 200
        event = error_event(error, call.dialect, call.id, self.sent, answer_id=_known_id(call))
        call.count_response(event)
        settle(call, outcome_of(error, len(call.tries)), error.message)
        call.conn.write(replies.chunk(event) + replies.LAST_CHUNK)
        call.conn.done()

    def _answered(self, answer: Lease | LeaseRefusal) -> None:
        self._cancel = None
        self.stop()
        self._call.leased(answer)

    def _tick(self) -> None:
        self._timer = self._call.gateway.loop.call_later(self._every_s, self._tick)
        self.sign()

    def _head(self) -> bytes:
        call = self._call
        lines = [
            (b"content-type", self._kind()),
            (b"cache-control", b"no-cache"),
            (b"transfer-encoding", b"chunked"),
            (b"x-freehold-receipt", call.id.encode()),
            (b"x-freehold-route", passing.safe_value(f"{call.route}; waiting for a model server")),
        ]
        return replies.head(200, lines)

    def _kind(self) -> bytes:
        return b"application/x-ndjson" if self._call.dialect == "ollama" else replies.SSE_TYPE


def _known_id(call: Call) -> str:
    """The response id that `opening` announced (Responses only)."""
    return f"resp_{call.id}" if call.dialect == "responses" else ""
