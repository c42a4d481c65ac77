"""A client's connection without a client: what is written to it goes nowhere."""

from __future__ import annotations

import asyncio

from freehold.gateway.connection import ServerConnection
from freehold.gateway.request import Request, Requests


class _Nowhere(asyncio.Transport):
    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Nobody reads it."""

    def close(self) -> None:
        """There is nothing to close."""

    def abort(self) -> None:
        """There is nothing to close."""

    def is_closing(self) -> bool:
        return True  # and nothing more will be heard


def nobody(gateway: Requests, loop: asyncio.AbstractEventLoop, request: Request) -> ServerConnection:
    """In place of a client that has gone while `request` is being answered."""
    connection = ServerConnection(gateway, loop)
    connection.attach(_Nowhere(), request)
    return connection
