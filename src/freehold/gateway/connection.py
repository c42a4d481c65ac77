"""One client connection: bytes to requests, answers to bytes. HTTP/1.1 and 1.0, keep-alive, pipelining.

Requests of one connection are answered one after the other, in order. What a request means is the
gateway's business; here is only the wire: framing, bounds, time-outs, and who is still there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

import httptools

from freehold.gateway import replies
from freehold.gateway.head_rules import BODY_FAULTS, fault_in_head, unreadable
from freehold.gateway.lingering import Lingering
from freehold.gateway.request import Handler, Head, Request, Requests

_PIPELINE_DEPTH = 16
_PROBE_GAPS_S = (0.02, 0.05, 0.2, 1.0)


class ServerConnection:
    """Reads requests through llhttp (strict: contradicting lengths, bad chunks, folding are errors)."""

    __slots__ = (
        "_address",
        "_body_bytes",
        "_closing",
        "_discarding",
        "_fed_bytes",
        "_framing_bytes",
        "_gateway",
        "_handler",
        "_head_bytes",
        "_incoming",
        "_known",
        "_loop",
        "_parser",
        "_probe_timer",
        "_pumping",
        "_queue",
        "_reading_paused",
        "_streaming",
        "_transport",
        "_url",
        "current",
        "since_s",
    )

    def __init__(self, gateway: Requests, loop: asyncio.AbstractEventLoop) -> None:
        self._gateway = gateway
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._address: str | None = None
        self._queue: deque[Request] = deque()
        self._incoming: Request | None = None
        self._handler: Handler | None = None
        self.current: Request | None = None
        """The request that is being answered."""
        self._known: Head | None = None
        self._url = b""
        self._head_bytes = 0
        self._fed_bytes = 0
        self._body_bytes = 0
        self._closing = False
        self._discarding = False
        self._pumping = False
        self._streaming = False
        self._reading_paused = False
        self._probe_timer: asyncio.TimerHandle | None = None
        self.since_s = loop.time()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._gateway.limits.write_high_water)
        if not self._gateway.opened(self):
            self.refuse(503, "too many connections", retry_after_s=1)

    def data_received(self, data: bytes) -> None:
        if self._closing or self._discarding:
            return
        if self._incoming is not None and self._incoming.lookup:
            self.since_s = self._loop.time()  # a body may pause; a head has one deadline from its first byte
        self._fed_bytes = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # the offer is ignored (RFC 9110 §7.8), the request answered
            self._discarding = True
        except httptools.HttpParserCallbackError:
            self._bad(500, "internal error while reading the request")
            raise
        except httptools.HttpParserError as error:
            self._bad(400, f"malformed HTTP request: {error}")
        else:
            if self._incoming is None:
                return
            if self._incoming.lookup:
                self._framing_bytes += len(data)
                if self._framing_bytes > self._gateway.limits.header_bytes + 2 * self._body_bytes:
                    self._bad(400, "the request body is mostly chunk framing")
                return
            self._head_bytes += len(data)
            if self._head_bytes > self._gateway.limits.header_bytes:
                self._bad(431, f"request headers exceed {self._gateway.limits.header_bytes} bytes")

    def eof_received(self) -> bool:
        """Half-closed: answer what is under way, if the client is still reading."""
        if self._handler is None or self._incoming is not None or self._closing:
            return False
        self._schedule_probe(0)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._closing = True
        self._queue.clear()
        if self._probe_timer is not None:
            self._probe_timer.cancel()
        self._gateway.closed(self)
        handler, self._handler = self._handler, None
        if handler is not None:
            handler.client_gone()

    def pause_writing(self) -> None:
        if self._handler is not None:
            self._handler.client_writable(False)

    def resume_writing(self) -> None:
        if self._handler is not None:
            self._handler.client_writable(True)

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        if self._discarding:  # what follows a request that could not be trusted begins nothing
            return
        self._incoming = Request()
        self.since_s = self._loop.time()
        self._url = b""
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        request = self._incoming
        if request is None or request.lookup:  # a trailer: read and dropped
            return
        name = name.lower()
        if name == b"content-length":  # llhttp has made sure that it is one number, and stands once
            request.length = int(value)
        else:
            request.headers.append((name, value))

    def on_headers_complete(self) -> None:
        request = self._incoming
        if request is None:
            return
        request.method = self._parser.get_method()
        known = self._known
        if (
            known is not None
            and known.headers == request.headers
            and known.url == self._url
            and known.method == request.method
            and (request.length or 0) <= self._gateway.limits.body_bytes
            and self._parser.get_http_version() == "1.1"
        ):
            request.lookup = known.lookup
            request.target = known.target
            request.path = known.path
            request.head = known
            return
        self._judge_head(request)

    def _judge_head(self, request: Request) -> None:
        request.lookup = dict(request.headers) or {b"": b""}
        request.keep_alive = self._parser.should_keep_alive()
        version = self._parser.get_http_version()
        request.http10 = version == "1.0"
        if version not in ("1.1", "1.0"):
            self._bad(505, "this port speaks HTTP/1.1 and HTTP/1.0")
            return
        if b"upgrade" in request.lookup:
            request.keep_alive = False
        gateway, limits = self._gateway, self._gateway.limits
        fault = fault_in_head(request, self._url, limits, self._head_bytes + self._fed_bytes)
        if fault is None and (request.length or 0) > limits.body_bytes and not gateway.wants_stream(request):
            fault = 413, f"request bodies may have {limits.body_bytes} bytes"
        if fault is not None:
            self._bad(*fault)
            return
        if b"expect" in request.lookup:
            if self.current is None and not request.http10:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif request.keep_alive and not request.http10:
            self._known = request.head = Head(request, self._url)
        if self._gateway.wants_stream(request):
            self._known = None
            if self.current is None and not self._queue:
                self._streaming = True
                self._begin(request)

    def on_body(self, data: bytes) -> None:
        request = self._incoming
        if request is None or self._discarding:
            return
        self._body_bytes += len(data)
        limits = self._gateway.limits
        if self._streaming:
            if self._body_bytes > limits.upload_bytes:
                self._bad(413, f"uploads may have {limits.upload_bytes} bytes")
            elif self._handler is not None:
                self._handler.body_piece(data)
            return
        if self._body_bytes > limits.body_bytes:
            self._bad(413, f"request bodies may have {limits.body_bytes} bytes")
            return
        request.chunks.append(data)

    def on_message_complete(self) -> None:
        request = self._incoming
        if request is None or self._discarding:
            return
        self._incoming = None
        request.complete = True
        if self._streaming:
            self._streaming = False
            if self._handler is not None:
                self._handler.body_complete()
            return
        chunks = request.chunks
        request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if self.current is None and not self._queue and not self._pumping:
            self._begin(request)
            return
        self._queue.append(request)
        if len(self._queue) >= _PIPELINE_DEPTH:
            self.pause_reading()

    # -- used by handlers

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def reply(self, answer: bytes) -> None:
        """Write a whole answer made elsewhere and be done with the request."""
        if self.current is not None and not self.current.keep_alive:
            answer = answer.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
        if self.current is not None and self.current.method == b"HEAD":
            answer = answer[: answer.index(b"\r\n\r\n") + 4]
        self.write(answer)
        self.done()

    def done(self, *, keep: bool = True) -> None:
        """The current request is answered. `keep` False: close after the bytes are out."""
        request = self.current
        self._handler = None
        self.current = None
        if self._probe_timer is not None and not self._queue:
            keep = False
        unread = request is not None and not request.complete
        if unread or not keep or request is None or not request.keep_alive:
            self._finish(unread=unread)
            return
        self.since_s = self._loop.time()
        if self._queue and not self._pumping:
            self._pump()

    def abort(self) -> None:
        """Cut the connection: the client must see that the answer is not whole."""
        self._handler = None
        self.current = None
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def refuse(self, status: int, message: str, *, retry_after_s: float | None = None) -> None:
        """Answer with a plain error before any request was understood, and close."""
        self.write(replies.plain_error(status, message, retry_after_s))
        self._finish(unread=status == 413)

    def pause_reading(self) -> None:
        if self._transport is not None and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()

    @property
    def address(self) -> str:
        """The client's host; empty when there is none."""
        if self._address is None:
            name: object = self._transport.get_extra_info("peername") if self._transport is not None else None
            parts = cast("tuple[object, ...]", name) if isinstance(name, tuple) else ()
            self._address = str(parts[0]) if parts else ""
        return self._address

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._closing

    def attach(self, transport: asyncio.Transport, request: Request) -> None:
        """Answer `request` into `transport`, of which nobody knows."""
        self._transport = transport
        self.current = request

    # -- used by the gateway's sweep

    def check(self, now_s: float) -> None:
        """Close what waits too long: slow heads, slow bodies, idle keep-alive connections."""
        limits = self._gateway.limits
        waited_s = now_s - self.since_s
        if self._incoming is not None and not self._reading_paused:
            reading_head = not self._incoming.lookup
            if waited_s > (limits.header_timeout_s if reading_head else limits.body_timeout_s):
                self._bad(408, "the request did not arrive in time")
        elif self.current is None and waited_s > limits.keep_alive_s:
            self._finish()

    def drain(self) -> None:
        """Close as soon as nothing is being answered."""
        if self.current is None:
            self._finish()
        else:
            self.current.keep_alive = False

    # -- inside

    def _begin(self, request: Request) -> None:
        self._take_up(request)
        handler = self._gateway.handle(self, request)
        if self.current is request:
            self._handler = handler

    def _take_up(self, request: Request) -> None:
        # A step of its own: type checkers, and so compiled code, believe that what was just assigned stays.
        self.current = request
        self._handler = None

    def _pump(self) -> None:
        self._pumping = True
        try:
            while self._queue and self.current is None and not self._closing:
                self._begin(self._queue.popleft())
        finally:
            self._pumping = False
        if len(self._queue) < _PIPELINE_DEPTH:
            self.resume_reading()

    def _finish(self, *, unread: bool = False) -> None:
        """Close when the bytes are out. `unread`: a request is not here to its end."""
        lingers = unread and not self._closing
        self._closing = True
        self._queue.clear()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if lingers:
            self.resume_reading()
            transport.set_protocol(Lingering(transport, self._loop, self.connection_lost))
        else:
            transport.close()

    def _bad(self, status: int, message: str) -> None:
        """The bytes cannot be trusted any further: answer what is under way, then say why, then close."""
        if self._closing:  # the reader, too, has something to say of what is refused already
            return
        self._discarding = True
        request, self._incoming = self._incoming, None
        if self.current is None:
            if request is not None and request.path and status in BODY_FAULTS:
                self.current = request
                if self._gateway.reject(self, request, BODY_FAULTS[status](message)):
                    return
            self.refuse(status, message)
            return
        self.current.keep_alive = False
        if self._streaming and self._handler is not None:
            self._streaming = False
            self._handler.body_failed(BODY_FAULTS.get(status, unreadable)(message))

    def _schedule_probe(self, index: int) -> None:
        gap_s = _PROBE_GAPS_S[min(index, len(_PROBE_GAPS_S) - 1)]
        if self._handler is not None:
            self._handler.probe()
            self._probe_timer = self._loop.call_later(gap_s, self._schedule_probe, index + 1)
