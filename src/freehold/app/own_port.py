"""Calls that the house makes by itself, over its own port: they have receipts, keep to budgets and wait for
slots like anybody's. One connection for each, closed when nobody wants the answer any more."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Mapping

import msgspec

from freehold.core.listen import Listen, parse_listen

_EVERYWHERE = frozenset(("0.0.0.0", "::", "localhost"))  # noqa: S104 - compared


def own_host(listen: str) -> str:
    """Under which address a house that listens there reaches itself."""
    host = parse_listen(listen).host
    return "127.0.0.1" if host in _EVERYWHERE else host


_ANSWER_BYTES = 16 * 1024 * 1024
_HEAD_END = b"\r\n\r\n"


class OwnAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class OwnPort:
    """The way to our own port, under a key of our own and the name of an agent."""

    def __init__(self, agent: str) -> None:
        self._agent = agent
        self._key = secrets.token_urlsafe(32)
        self.host = "127.0.0.1"
        """Where the house listens; `own_host` tells."""
        self.port = 0
        """0: it is not open yet, and nothing can be asked."""

    @property
    def accepted(self) -> Mapping[str, str]:
        """SHA-256 (hex) and name of the key; for `Access.keys`, where keys are needed at all."""
        return {hashlib.sha256(self._key.encode()).hexdigest(): self._agent}

    async def post(self, path: str, body: bytes, headers: Mapping[str, str], within_s: float) -> OwnAnswer:
        """Ask and wait for the whole answer. Cancelled, it hangs up, and whoever works on it is stopped.
        Raises OSError (TimeoutError among them), also for an answer that is cut."""
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(self.host, self.port)
            try:
                writer.write(self._head(path, len(body), headers) + body)
                await writer.drain()
                return _read(await _whole(reader))
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    def _head(self, path: str, length: int, headers: Mapping[str, str]) -> bytes:
        """HTTP/1.0: the answer ends with the connection, and is in one piece."""
        fields = {
            "host": Listen(self.host, self.port).url.removeprefix("http://"),
            "content-type": "application/json",
            "content-length": str(length),
            "authorization": f"Bearer {self._key}",
            "x-freehold-agent": self._agent,
            **headers,
        }
        lines = [f"POST {path} HTTP/1.0", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join(lines).encode("latin-1", "replace") + _HEAD_END


async def _whole(reader: asyncio.StreamReader) -> bytes:
    found = bytearray()
    while piece := await reader.read(65536):
        found += piece
        if len(found) > _ANSWER_BYTES:
            raise ConnectionError("the answer is too large")
    return bytes(found)


def _read(data: bytes) -> OwnAnswer:
    head, end, body = data.partition(_HEAD_END)
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if not end or len(words) < 2 or not words[1].isdigit():
        raise ConnectionError("the answer was cut")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    length = headers.get("content-length", "")
    if length.isdigit() and len(body) != int(length):
        raise ConnectionError("the answer was cut")
    return OwnAnswer(status=int(words[1]), headers=headers, body=body)
