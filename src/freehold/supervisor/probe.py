"""Asks a model server over HTTP how it is. One request on one connection, bounded in time."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import msgspec

from freehold.supervisor.liveness import Health

_ANSWER_BYTES = 64 * 1024
_REASON_CHARS = 300
_NOT_IMPLEMENTED = 501


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
    """Whether the server works on a request that asks for one token. Some models cannot generate, and say so
    at once (4xx, 501); one that hangs says nothing. Never raises."""
    status, _ = await post(base_url, path, body, timeout_s)
    if status is None:
        return Health.NO_TOKENS
    if status < 300:
        return Health.READY
    return Health.BROKEN if status >= 500 and status != _NOT_IMPLEMENTED else Health.UNABLE


async def post(base_url: str, path: str, body: bytes, timeout_s: float) -> tuple[int | None, bytes]:
    """Status and body of the answer; None and why there is none. Never raises."""
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(base_url, f"POST {path} HTTP/1.1", body, whole=True)
    except TimeoutError:
        return None, b"it did not answer in time"
    except (OSError, EOFError, ValueError) as error:
        return None, f"it broke the connection: {error}".encode()


async def _ask(base_url: str, line: str, body: bytes, *, whole: bool = False) -> tuple[int, bytes]:
    """Status, and the body as far as it was asked for. Raises OSError, EOFError when it says nothing,
    ValueError when what it says is no HTTP."""
    where = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port or 80)
    try:
        head = f"{line}\r\nHost: {where.netloc}\r\nConnection: close\r\n"
        if whole:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        status = _status(await reader.readline())  # HTTP/1.1 200 OK
        if not whole:
            return status, b""
        async for field in reader:
            if field in (b"\r\n", b"\n"):
                break
        return status, await reader.read(_ANSWER_BYTES)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def error_words(answer: bytes) -> str:
    """The reason in an answer, for a person: its `error`, else its beginning."""
    text = answer.decode(errors="replace").strip()
    with contextlib.suppress(msgspec.DecodeError, msgspec.ValidationError):
        told = msgspec.json.decode(answer, type=dict[str, object]).get("error")
        if isinstance(told, dict):
            told = told.get("message")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(told, str):
            text = told
    return text[:_REASON_CHARS] or "it did not say why"


def _status(line: bytes) -> int:
    if not line:
        raise EOFError
    words = line.split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/"):
        raise ValueError("no HTTP")
    return int(words[1])
