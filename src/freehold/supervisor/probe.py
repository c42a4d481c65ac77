"""Asks a model server over HTTP how it is. One request on one connection, bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
import enum


class Health(enum.Enum):
    """What a server says of itself."""

    SILENT = "silent"
    """Nobody answers, or not with HTTP."""
    LOADING = "loading"
    """It answers, and is not ready (503)."""
    READY = "ready"


async def probe(port: int, path: str, timeout_s: float = 1.0) -> Health:
    """The health of the server on this loopback port. Never raises."""
    try:
        async with asyncio.timeout(timeout_s):
            status = await _get_status(port, path)
    except (OSError, TimeoutError, ValueError, IndexError):
        return Health.SILENT
    return Health.READY if status == 200 else Health.LOADING if status == 503 else Health.SILENT


async def _get_status(port: int, path: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()  # HTTP/1.1 200 OK
        return int(line.split()[1])
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
