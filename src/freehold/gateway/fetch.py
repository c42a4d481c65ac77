"""A small request to an upstream as something to await: for the rare calls that need more than one."""

from __future__ import annotations

import asyncio

from freehold.gateway.origin import Origin
from freehold.gateway.upstream import UpstreamConnection, UpstreamPool

_ANSWER_BYTES = 16 * 1024 * 1024


class FetchError(Exception):
    """No answer that helps; the text says why."""


class NoAnswerError(FetchError):
    """No whole answer came: no connection, a broken one, or silence."""


class _Gathered:
    """An `upstream.Answer` that resolves a future."""

    def __init__(self, future: asyncio.Future[tuple[int, bytes]]) -> None:
        self.connection: UpstreamConnection | None = None
        self._future = future
        self._status = 0
        self._body = bytearray()

    def connected(self, connection: UpstreamConnection) -> None:
        self.connection = connection

    def began(self, status: int, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
        self._status = status

    def received(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > _ANSWER_BYTES and self.connection is not None:
            self.connection.abandon()
            self.failed("the answer is too large")

    def flush(self) -> None:
        """Nothing is passed on."""

    def completed(self) -> None:
        self.connection = None
        if not self._future.done():
            self._future.set_result((self._status, bytes(self._body)))

    def failed(self, reason: str) -> None:
        self.connection = None
        if not self._future.done():
            self._future.set_exception(NoAnswerError(reason))

    def writable(self, ready: bool) -> None:
        """The request is one piece."""


async def fetch_json(
    pool: UpstreamPool, origin: Origin, path: bytes, body: bytes, *, timeout_s: float
) -> tuple[int, bytes]:
    """POST `body` (JSON) and return status and body. Raises NoAnswerError, also when time is up."""
    future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
    answer = _Gathered(future)
    head = b"POST %b HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    pool.send(origin, head % (path, origin.authority, len(body)) + body, answer)
    try:
        async with asyncio.timeout(timeout_s):
            return await future
    except TimeoutError:
        raise NoAnswerError(f"no answer within {timeout_s:g} s") from None
    finally:
        if answer.connection is not None:
            answer.connection.abandon()
        elif not future.done() or future.cancelled():
            pool.cancel_dial(answer)
