"""Asks a model server over HTTP how it is. One request on one connection, bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

from freehold.supervisor.liveness import Health

_ANSWER_BYTES = 64 * 1024


async def probe(base_url: str, path: str, timeout_s: float = 1.0) -> Health:
    """The health of the server at this address (`http://host:port`). Never raises."""
    try:
        async with asyncio.timeout(timeout_s):
            status, _ = await _ask(base_url, f"GET {path} HTTP/1.1", b"")
    except ConnectionRefusedError:
        return Health.REFUSED
    except (OSError, TimeoutError, EOFError):
        return Health.SILENT
    except ValueError:
        return Health.ERROR
    return Health.READY if status == 200 else Health.LOADING if status == 503 else Health.ERROR


async def probe_deep(base_url: str, path: str, body: bytes, timeout_s: float) -> Health:
    """Whether the server answers a request that makes it generate one token. Never raises."""
    try:
        async with asyncio.timeout(timeout_s):
            status, answered = await _ask(base_url, f"POST {path} HTTP/1.1", body, whole=True)
    except ConnectionRefusedError:
        return Health.REFUSED
    except (OSError, TimeoutError, EOFError, ValueError):
        return Health.NO_TOKENS
    if status == 503:
        return Health.LOADING
    return Health.READY if status == 200 and answered else Health.NO_TOKENS


async def _ask(base_url: str, line: str, body: bytes, *, whole: bool = False) -> tuple[int, bool]:
    """Status, and whether anything followed the head (looked at only when `whole`). Raises OSError,
    EOFError when it says nothing, ValueError when what it says is no HTTP."""
    where = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
    try:
        head = f"{line}\r\nHost: {where.netloc}\r\nConnection: close\r\n"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        status = _status(await reader.readline())  # HTTP/1.1 200 OK
        if not whole:
            return status, False
        async for field in reader:
            if field in (b"\r\n", b"\n"):
                break
        return status, bool(await reader.read(_ANSWER_BYTES))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _status(line: bytes) -> int:
    if not line:
        raise EOFError
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError("no HTTP")
    return int(words[1])
