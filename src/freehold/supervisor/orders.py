"""What somebody wants of a server's life while it goes on, and the bell that wakes it."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """End the process, or leave it to the next Freehold."""

    reason: str
    """For a person; written down before the signal is sent."""
    drain_s: float | None = 0.0
    """How long calls in flight may go on; None: until they have ended."""
    then: Literal["stay", "start", "leave"] = "stay"
    """What follows: it stays stopped, is started again, or lives on without us."""
    for_name: str = ""
    """Evicted for this server: may be withdrawn."""


class Orders:
    """Owned by a server's life: at most one order, the newest; everything that may matter rings the bell."""

    def __init__(self) -> None:
        self.now: Order | None = None
        self._bell = asyncio.Event()

    def give(self, order: Order) -> None:
        self.now = order
        self._bell.set()

    def withdraw(self) -> None:
        self.now = None
        self._bell.set()

    def ring(self, _anything: object = None) -> None:
        """Look again."""
        self._bell.set()

    async def rest(self, longest_s: float | None) -> None:
        """Until the bell rings, or so long; None: without end."""
        try:
            async with asyncio.timeout(longest_s):
                await self._bell.wait()
        except TimeoutError:
            pass
        self._bell.clear()
