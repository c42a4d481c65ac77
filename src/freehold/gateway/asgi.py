"""Paths that are not model calls go to an ordinary ASGI application on the same connection.

Bodies are small and whole; answers may stream. Websockets are not bridged here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, Protocol, cast
from urllib.parse import unquote

from freehold.core.errors import CallError
from freehold.gateway import replies
from freehold.gateway.access import Access
from freehold.gateway.connection import ServerConnection
from freehold.gateway.request import Request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


_NO_BODY = (204, 304)
"""By definition (RFC 9110 §15): they have no length either."""


class TaskOwner(Protocol):
    """Who keeps and awaits the task of an exchange."""

    def keep(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]: ...


class AsgiExchange:
    """One request for the control application. Implements `connection.Handler`."""

    def __init__(self, app: AsgiApp, connection: ServerConnection, request: Request, access: Access) -> None:
        self._app = app
        self._connection = connection
        self._request = request
        self._access = access
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._body_taken = False
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._started = False
        self._chunked = False
        self._until_close = False
        """HTTP/1.0 knows no chunks: a body of unknown length ends with the connection."""
        self._task: asyncio.Task[None] | None = None

    def start(self, owner: TaskOwner) -> None:
        """Run the application; its task ends with the connection at the latest."""
        self._task = owner.keep(self._run())

    async def _run(self) -> None:
        try:
            await self._app(self._scope(), self._receive, self._send)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            asyncio.get_running_loop().call_exception_handler(
                {"message": "the control application failed", "exception": error}
            )
        if self._gone.is_set():
            return
        if self._started:  # half an answer must not pass for a whole one
            self._connection.abort()
        else:
            self._connection.refuse(500, "the control application failed; see the log")

    def _scope(self) -> Scope:
        request = self._request
        path = request.path.decode("latin-1")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.0" if request.http10 else "1.1",
            "method": request.method.decode("latin-1"),
            "scheme": "http",
            "path": unquote(path),
            "raw_path": request.path,
            "query_string": request.target.partition(b"?")[2],
            "root_path": "",
            "headers": request.headers,
            "server": None,
            "client": None,
            "state": {},
        }

    async def _receive(self) -> Message:
        if not self._body_taken:
            self._body_taken = True
            return {"type": "http.request", "body": self._request.body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self._status = cast(int, message["status"])
            self._headers = [(name.lower(), value) for name, value in message.get("headers", [])]
            return
        body = cast(bytes, message.get("body", b""))
        more = bool(message.get("more_body", False))
        self._write(body, more)
        if not more:
            self._gone.set()
            self._connection.done(keep=not self._until_close)
        else:
            await self._writable.wait()

    def _write(self, body: bytes, more: bool) -> None:
        connection = self._connection
        head = b""
        if not self._started:
            self._started = True
            self._frame(len(body), more)
            head = replies.head(self._status, self._headers)
        if self._request.method == b"HEAD":
            body = b""
        elif self._chunked:
            body = (replies.chunk(body) if body else b"") + (b"" if more else replies.LAST_CHUNK)
        connection.write(head + body)

    def _frame(self, body_bytes: int, more: bool) -> None:
        """Say how the body's end is known, where the application did not."""
        if self._status not in _NO_BODY and not any(name == b"content-length" for name, _ in self._headers):
            if not more:
                self._headers.append((b"content-length", b"%d" % body_bytes))
            elif self._request.http10:
                self._until_close = True
            else:
                self._chunked = True
                self._headers.append((b"transfer-encoding", b"chunked"))
        if self._until_close or not self._request.keep_alive:
            self._headers.append((b"connection", b"close"))

    def client_gone(self) -> None:
        self._gone.set()
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def client_writable(self, ready: bool) -> None:
        if ready:
            self._writable.set()
        else:
            self._writable.clear()

    def body_piece(self, data: bytes) -> None:
        """Control requests are whole before they come here."""

    def body_complete(self) -> None:
        """Control requests are whole before they come here."""

    def body_failed(self, error: CallError) -> None:
        """Control requests are whole before they come here."""

    def probe(self) -> None:
        """Nothing harmless can be said in the middle of a control answer."""
