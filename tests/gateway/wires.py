"""A wire without a network: transports that remember, a loop whose time is moved by hand, and someone who
answers requests when told to."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any, cast

from freehold.core.errors import CallError
from freehold.gateway import replies
from freehold.gateway.connection import ServerConnection
from freehold.gateway.limits import Limits
from freehold.gateway.request import Request


class Timer:
    """What `call_later` gives back."""

    def __init__(self, callback: Callable[..., None], args: tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class HandLoop:
    """As much of an event loop as connections use."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Timer]] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: Callable[..., None], *args: Any) -> Timer:
        timer = Timer(callback, args)
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._order), timer))
        return timer

    def call_soon(self, callback: Callable[..., None], *args: Any) -> Timer:
        return self.call_later(0, callback, *args)

    def pass_s(self, seconds: float) -> None:
        """Let time pass; what falls due happens, in order."""
        end_s = self.now_s + seconds
        while self._due and self._due[0][0] <= end_s:
            self.now_s, _, timer = heapq.heappop(self._due)
            if not timer.cancelled:
                timer.callback(*timer.args)
        self.now_s = end_s

    @property
    def waiting(self) -> int:
        """Timers that would still do something."""
        return sum(not timer.cancelled for *_, timer in self._due)


class Transport(asyncio.Transport):
    """Remembers what was written, and how it ended; tells the protocol of its end only when asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.reading = True
        self.ended: str | None = None
        """`close` (after what was written) or `abort`."""
        self.half_closed = False
        self.taker: asyncio.BaseProtocol | None = None
        """Who took the transport over."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.taker = protocol

    def write_eof(self) -> None:
        self.half_closed = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.half_closed
        if self.ended is None:
            self.written += data

    def close(self) -> None:
        self.ended = self.ended or "close"

    def abort(self) -> None:
        self.ended = self.ended or "abort"

    def is_closing(self) -> bool:
        return self.ended is not None

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high_water = high


class Handler:
    """A request that is being answered: remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.body = b""

    def client_gone(self) -> None:
        self.told.append("gone")

    def client_writable(self, ready: bool) -> None:
        self.told.append("writable" if ready else "full")

    def body_piece(self, data: bytes) -> None:
        self.body += data

    def body_complete(self) -> None:
        self.told.append("whole")

    def body_failed(self, error: CallError) -> None:
        self.told.append(error.status)

    def probe(self) -> None:
        self.told.append("probe")


class Answerer:
    """`connection.Requests`: answers each request with its number, at once or when `answer` is called."""

    def __init__(self, limits: Limits | None = None, *, at_once: bool = True, rejects: bool = False) -> None:
        self.limits = limits or Limits()
        self.handled: list[Request] = []
        self.handlers: list[Handler] = []
        self.rejected: list[CallError] = []
        self.connections = 0
        self.room = True
        self._at_once = at_once
        self._rejects = rejects
        self._connection: ServerConnection | None = None

    def opened(self, connection: ServerConnection) -> bool:
        self.connections += 1
        self._connection = connection
        return self.room

    def closed(self, connection: ServerConnection) -> None:
        self.connections -= 1

    def wants_stream(self, request: Request) -> bool:
        return request.lookup.get(b"content-type", b"").startswith(b"multipart/form-data")

    def reject(self, connection: ServerConnection, request: Request, error: CallError) -> bool:
        if self._rejects:
            self.rejected.append(error)
            connection.reply(replies.whole(error.status, b"rejected"))
        return self._rejects

    def handle(self, connection: ServerConnection, request: Request) -> Handler | None:
        self.handled.append(request)
        self.handlers.append(Handler())
        if self._at_once and request.complete:
            self.answer()
            return None
        return self.handlers[-1]

    def answer(self, *, keep: bool = True) -> None:
        """Answer the request in hand: its body is its number among those handled."""
        assert self._connection is not None
        number = self.handled.index(self._connection.current)
        self._connection.write(replies.whole(200, b"%d" % number))
        self._connection.done(keep=keep)


class Client:
    """One client's connection to an `Answerer`."""

    def __init__(self, answerer: Answerer) -> None:
        self.loop = HandLoop()
        self.transport = Transport()
        self.answerer = answerer
        self.connection = ServerConnection(answerer, self.loop)
        self.connection.connection_made(self.transport)

    def send(self, *pieces: bytes) -> None:
        """As a transport delivers: nothing after the end."""
        for piece in pieces:
            if piece and self.transport.ended is None:
                protocol = cast("asyncio.Protocol", self.transport.taker or self.connection)
                protocol.data_received(piece)

    def leave(self) -> None:
        self.connection.connection_lost(None)

    @property
    def answers(self) -> list[tuple[int, bytes]]:
        """Status and body of each whole answer so far."""
        found, rest = [], bytes(self.transport.written)
        while rest:
            head, end, rest = rest.partition(b"\r\n\r\n")
            assert end, f"half an answer: {head!r}"
            status = int(head.split()[1])
            lengths = [line[15:] for line in head.split(b"\r\n") if line.startswith(b"content-length:")]
            length = int(lengths[0]) if lengths else 0
            found.append((status, rest[:length]))
            rest = rest[length:]
        return found


def cut(data: bytes, at: list[int]) -> list[bytes]:
    """`data` in pieces: cut at these positions (any numbers)."""
    edges = sorted({0, len(data), *(position % (len(data) + 1) for position in at)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]
