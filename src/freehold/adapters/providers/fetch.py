"""One bounded GET of a JSON document, over plain or TLS sockets, for discovery.

Not the way calls go upstream (that is the gateway's pool): no keep-alive, no redirects, no cookies.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from freehold.core.errors import FreeholdError

BODY_LIMIT = 16 * 1024 * 1024
_HEADER_LIMIT = 64 * 1024


class FetchError(FreeholdError):
    """The document could not be had; the text says why. `status` is the HTTP status, if there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


async def get_json(url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float) -> object:
    """The decoded body of a 200 answer. Raises `FetchError`, whatever went wrong."""
    try:
        async with asyncio.timeout(timeout_s):
            status, body = await _get(url, headers or {})
    except TimeoutError:
        raise FetchError(f"no answer within {timeout_s:g} s") from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise FetchError(f"no usable answer: {error}") from error
    if status != 200:
        raise FetchError(f"answered {status}", status)
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FetchError("answered something that is not JSON") from error


async def _get(url: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(
        parts.hostname, port, ssl=True if secure else None, limit=_HEADER_LIMIT
    )
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Accept: application/json",
            "Connection: close",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        return await _read_answer(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *rest = head.split("\r\n")
    status = int(first.split()[1]) if first.startswith("HTTP/1.") and len(first.split()) > 1 else 0
    if not 100 <= status <= 599:
        raise ValueError("it does not speak HTTP")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
    }
    if "chunked" in fields.get("transfer-encoding", "").lower():
        return status, await _read_chunks(reader)
    if "content-length" in fields:
        return status, await reader.readexactly(_bounded(int(fields["content-length"])))
    return status, await _read_to_end(reader)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        _bounded(len(body) + size)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return bytes(body)


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while piece := await reader.read(65_536):
        body += piece
        _bounded(len(body))
    return bytes(body)


def _bounded(size: int) -> int:
    if not 0 <= size <= BODY_LIMIT:
        raise ValueError(f"its answer is longer than {BODY_LIMIT:,} bytes")
    return size
