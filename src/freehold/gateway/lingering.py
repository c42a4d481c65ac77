"""What becomes of a connection whose client still sends what was refused: it is heard, and thrown away.

Closing at once would reset the connection, and with it the answer that the client has not read yet
(RFC 9112 §9.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LINGER_S = 5.0
LINGER_BYTES = 256 * 1024 * 1024


class Lingering(asyncio.Protocol):
    """Takes a transport over, says that nothing more comes from here, and closes it when the client does, or
    after `LINGER_S` or `LINGER_BYTES`. Then it calls `lost`, as transports do."""

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        lost: Callable[[Exception | None], None],
    ) -> None:
        self._transport = transport
        self._lost = lost
        self._left = LINGER_BYTES
        self._timer = loop.call_later(LINGER_S, transport.close)
        transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left <= 0:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._lost(exc)
