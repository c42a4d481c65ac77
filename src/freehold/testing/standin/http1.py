"""HTTP/1.1 as a server reads and writes it, by hand, so that every byte can be wrong on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable

import msgspec

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


class GoneError(Exception):
    """The client closed or broke the connection."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


class Inbound:
    """The bytes that come from the client; keeps what was read ahead while an answer was under way."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._buffer = bytearray()

    async def fill(self) -> None:
        """Read some more. Raises GoneError at the end."""
        try:
            data = await self._reader.read(65536)
        except OSError as error:
            raise GoneError from error
        if not data:
            raise GoneError
        self._buffer += data

    async def until(self, mark: bytes) -> bytes:
        while (at := self._buffer.find(mark)) < 0:
            await self.fill()
        found = bytes(self._buffer[:at])
        del self._buffer[: at + len(mark)]
        return found

    async def head(self) -> Head:
        lines = (await self.until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _version = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:])
        return Head(
            method=method,
            target=target,
            headers=tuple((name.lower(), value.strip()) for name, _, value in pairs),
        )

    async def body(self, head: Head, took: Callable[[bytes], None]) -> None:
        """Hands each piece of the body to `took` as it comes."""
        if head.get("transfer-encoding").lower() == "chunked":
            while size := int((await self.until(b"\r\n")).partition(b";")[0], 16):
                await self._take(size, took)
                await self.until(b"\r\n")
            while await self.until(b"\r\n"):
                pass
            return
        await self._take(int(head.get("content-length") or 0), took)

    async def _take(self, count: int, took: Callable[[bytes], None]) -> None:
        while count:
            if not self._buffer:
                await self.fill()
            piece = bytes(self._buffer[:count])
            del self._buffer[: len(piece)]
            count -= len(piece)
            took(piece)


class Outbound:
    """The bytes that go to the client. Nothing is queued here: `write` ends when the kernel took it all."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        writer.transport.set_write_buffer_limits(high=0)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        try:
            await self._writer.drain()
        except OSError as error:
            raise GoneError from error

    def half_close(self) -> None:
        self._writer.write_eof()

    def shut(self, *, reset: bool = False) -> None:
        """Close after what was written; with `reset`, break at once."""
        if not reset:
            self._writer.close()
            return
        sock: socket.socket | None = self._writer.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def head_bytes(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk_bytes(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"
