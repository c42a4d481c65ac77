"""Pooled HTTP/1.1 connections to model servers and providers.

`UpstreamPool.send` puts one request on an idle or new connection and tells an `Answer` what comes
back, by callbacks. A connection carries one request at a time and returns to the pool only after a
whole answer. What an answer means is not decided here.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

import httptools

from freehold.gateway.limits import Limits
from freehold.gateway.origin import Origin

_MOST_HEADERS = 256
_OLD_AGE_S = 1.0
"""A pooled connection that had died before it was used again is seen to be dead by then; later its server has
read the request, and may have worked on it."""


class Answer(Protocol):
    """Who listens to one request's answer. Exactly one of `completed`, `failed` ends it, and nothing
    comes after `UpstreamConnection.abandon`."""

    def connected(self, connection: UpstreamConnection) -> None:
        """The request is on its way over `connection`."""
        ...

    def began(self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
        """Status and headers are here; header names in lower case, `fields` the same as a mapping."""
        ...

    def received(self, data: bytes) -> None:
        """A piece of the body."""
        ...

    def completed(self) -> None:
        """The body is whole."""
        ...

    def flush(self) -> None:
        """A batch of bytes has been handed over: what was gathered may be written."""
        ...

    def failed(self, reason: str) -> None:
        """No (whole) answer will come: `reason` in words."""
        ...

    def writable(self, ready: bool) -> None:
        """The connection's send buffer has (no) room: only streamed uploads care."""
        ...


class UpstreamConnection:
    """One connection. Reads through llhttp, which refuses contradicting lengths and bad chunks."""

    __slots__ = (
        "_answer",
        "_began",
        "_bodiless",
        "_eof_ends",
        "_head_bytes",
        "_headers",
        "_parser",
        "_pool",
        "_spare_request",
        "_spare_until_s",
        "_tainted",
        "_transport",
        "_whole",
        "idle_since_s",
        "origin",
    )

    def __init__(self, pool: UpstreamPool, origin: Origin) -> None:
        self.origin = origin
        self.idle_since_s = 0.0
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._began = False
        self._bodiless = False
        self._whole = False
        self._tainted = False
        self._head_bytes = 0
        self._eof_ends = False
        self._spare_request: bytes | None = None
        self._spare_until_s = 0.0

    # -- used by the pool and by calls

    def start(self, answer: Answer, request: bytes, *, reused: bool) -> None:
        """Send `request` for `answer`. On a reused connection it is kept until the answer begins."""
        self._answer = answer
        self._began = self._whole = self._tainted = False
        self._bodiless = request.startswith(b"HEAD ")
        self._head_bytes = 0
        self._spare_request = request if reused else None
        if reused:
            self._spare_until_s = time.monotonic() + _OLD_AGE_S
        assert self._transport is not None
        self._transport.write(request)
        answer.connected(self)

    def write(self, data: bytes) -> None:
        """More of a streamed upload."""
        if self._transport is not None:
            self._transport.write(data)

    def hand_over(self, answer: Answer) -> None:
        """From now on somebody else listens."""
        self._answer = answer

    def abandon(self) -> None:
        """Stop: the caller no longer wants the answer. The connection dies with it."""
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._pool.limits.write_high_water)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if not self._began:
            self._head_bytes += len(data)
        if answer is None:  # bytes that nobody asked for: not a server to be trusted with another call
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:
            self._fail("internal error while reading the answer")
            raise
        except httptools.HttpParserError as error:
            self._fail(f"the upstream's answer is not valid HTTP ({error})")
            return
        except httptools.HttpParserUpgrade:
            self._fail("the upstream tried to switch protocols")
            return
        answer = self._answer
        if answer is None:
            return
        if self._whole:
            self._end(answer)
        else:
            if not self._began and self._head_bytes > self._pool.limits.header_bytes:
                self._fail("the head of the upstream's answer is too large")
                return
            answer.flush()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._pool.forget(self)
        answer = self._answer
        if answer is None:
            return
        if self._began and self._eof_ends and exc is None:
            self._answer = None
            answer.completed()
            return
        if self._spare_request is not None and time.monotonic() < self._spare_until_s:
            self._answer = None  # the pooled connection had died of old age: not a failure
            self._pool.dial(self.origin, self._spare_request, answer)
            return
        self._fail("the upstream closed the connection before its answer was whole")

    def pause_writing(self) -> None:
        if self._answer is not None:
            self._answer.writable(False)

    def resume_writing(self) -> None:
        if self._answer is not None:
            self._answer.writable(True)

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        self._headers = []
        if self._whole:  # a second answer, which nobody asked for
            self._tainted = True

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200 or self._answer is None or self._whole:
            return
        size = (
            sum(len(name) + len(value) for name, value in self._headers) if self._head_bytes > 16_384 else 0
        )
        if size > self._pool.limits.header_bytes or len(self._headers) > _MOST_HEADERS:
            self._fail("the head of the upstream's answer is too large")
            return
        self._began = True
        self._spare_request = None
        fields = dict(self._headers)
        self._eof_ends = b"content-length" not in fields and b"transfer-encoding" not in fields
        self._answer.began(status, self._headers, fields)
        if self._bodiless:  # the answer to a HEAD has the length of a body that does not come
            self._tainted = self._whole = True

    def on_body(self, data: bytes) -> None:
        if self._answer is not None and not self._whole:
            self._answer.received(data)

    def on_message_complete(self) -> None:
        if self._answer is not None and self._began:  # else a 1xx
            self._whole = True
            self._tainted = not self._parser.should_keep_alive()

    def _end(self, answer: Answer) -> None:
        """The answer is whole. Back to the pool first: `completed` may start the next attempt at once."""
        self._answer = None
        if not self._tainted and self.usable:
            self._pool.put_back(self)
        else:
            self.close()
        answer.completed()

    def _fail(self, reason: str) -> None:
        answer = self._answer
        self._answer = None
        if self._transport is not None:
            self._transport.abort()
        if answer is not None:
            answer.failed(reason)


class UpstreamPool:
    """Owns every upstream connection. Lives in `async with`; leaving it closes all of them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._idle: dict[Origin, deque[UpstreamConnection]] = {}
        self._all: set[UpstreamConnection] = set()
        self._dialing: dict[int, asyncio.Task[None]] = {}
        self._tls: ssl.SSLContext | None = None
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> UpstreamPool:
        return self

    async def __aexit__(self, *_: object) -> None:
        dialing = list(self._dialing.values())
        for task in dialing:
            task.cancel()
        for connection in list(self._all):
            connection.abandon()
        await asyncio.gather(*dialing, return_exceptions=True)

    def send(self, origin: Origin, request: bytes, answer: Answer) -> None:
        """Put the whole `request` (head and body) on an idle or new connection."""
        idle = self._idle.get(origin)
        if idle:
            oldest_s = self._loop.time() - self.limits.idle_upstream_s
            while idle:
                connection = idle.pop()  # the most recently used: the rest may grow old and die
                if connection.usable and connection.idle_since_s > oldest_s:
                    connection.start(answer, request, reused=True)
                    return
                connection.close()
        self.dial(origin, request, answer)

    def dial(self, origin: Origin, request: bytes, answer: Answer) -> None:
        """The same on a new connection: for uploads, whose later pieces could not be sent again."""
        task = self._loop.create_task(self._connect(origin, request, answer))
        self._dialing[id(answer)] = task
        task.add_done_callback(lambda ended: self._dialed(id(answer), ended))

    def _dialed(self, key: int, ended: asyncio.Task[None]) -> None:
        if self._dialing.get(key) is ended:  # a failed dial may have begun the next one already
            del self._dialing[key]

    def cancel_dial(self, answer: Answer) -> None:
        """Give up on an answer whose connection is still being made."""
        task = self._dialing.get(id(answer))
        if task is not None:
            task.cancel()

    def follow_dial(self, before: Answer, after: Answer) -> None:
        """A connection that is being made for one answer is another's now: that one may give up on it."""
        task = self._dialing.pop(id(before), None)
        if task is not None:
            self._dialing[id(after)] = task
            task.add_done_callback(lambda ended: self._dialed(id(after), ended))

    def put_back(self, connection: UpstreamConnection) -> None:
        connection.idle_since_s = self._loop.time()
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = deque()
        idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        self._all.discard(connection)
        idle = self._idle.get(connection.origin)
        if idle is not None and connection in idle:
            idle.remove(connection)

    async def _connect(self, origin: Origin, request: bytes, answer: Answer) -> None:
        connection = UpstreamConnection(self, origin)
        make = cast("Callable[[], asyncio.Protocol]", lambda: connection)
        tls = self._tls_context() if origin.tls else None
        try:
            async with asyncio.timeout(self.limits.connect_timeout_s):
                await self._loop.create_connection(make, origin.host, origin.port, ssl=tls)
        except TimeoutError:
            answer.failed(
                f"no connection to {origin.host}:{origin.port} within {self.limits.connect_timeout_s:g} s"
            )
            return
        except UnicodeError:
            answer.failed(f"cannot connect to {origin.host}: it is no host name")
            return
        except OSError as error:
            answer.failed(f"cannot connect to {origin.host}:{origin.port}: {error.strerror or error}")
            return
        self._all.add(connection)
        connection.start(answer, request, reused=False)

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls
