"""A tiny HTTP server on loopback whose answers a test writes down."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping


class Loopback:
    """`routes` maps a path (with its query) to a JSON value, or to the raw bytes of a whole answer.
    `heads` collects what was asked, as text."""

    def __init__(self, routes: Mapping[str, object]) -> None:
        self._routes = routes
        self.heads: list[str] = []
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            writer.write(self._bytes(head.split()[1]))
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _bytes(self, path: str) -> bytes:
        answer = self._routes.get(path)
        if isinstance(answer, bytes):
            return answer
        if answer is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        body = json.dumps(answer).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@contextlib.asynccontextmanager
async def loopback(routes: Mapping[str, object]) -> AsyncIterator[Loopback]:
    served = Loopback(routes)
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    served.port = server.sockets[0].getsockname()[1]
    async with server:
        yield served


@contextlib.asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """A port that accepts and never answers."""
    leave = asyncio.Event()

    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await leave.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        leave.set()
