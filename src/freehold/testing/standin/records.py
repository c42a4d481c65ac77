"""What the stand-in saw, as records that another thread may wait on, and the gates it waits at."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import msgspec

WAIT_S = 10.0
"""How long a test waits for something that should happen at once; reached only when it never does."""


class Seen:
    """One request as it came over the wire. Events are set by the server's thread."""

    def __init__(
        self, method: str, target: str, headers: tuple[tuple[str, str], ...], connection: int
    ) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.connection = connection
        """Which connection, counted from 1: tells whether connections are reused."""
        self.body = b""
        self.received_bytes = 0
        self.events_sent = 0
        self.sent_bytes = 0
        """Bytes of the answer that the kernel has taken."""
        self.cancelled_at_s = 0.0
        """`time.monotonic()` when the client's going was noticed."""
        self.body_started = threading.Event()
        self.complete = threading.Event()
        self.answered = threading.Event()
        self.cancelled = threading.Event()

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def header(self, name: str) -> str | None:
        """The value of the header, the values joined by commas when it stands there more than once."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    def json(self) -> Any:
        """The decoded body; {} when it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return {}

    def note_cancelled(self) -> None:
        self.cancelled_at_s = time.monotonic()
        self.cancelled.set()


class Gate:
    """Holds the stand-in at a named place until a test lets it pass. Thread-safe."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._permits = asyncio.Semaphore(0)
        self._open = False
        self.reached = threading.Event()
        """Set when something has arrived at the gate."""

    def release(self, count: int = 1) -> None:
        """Let `count` more pass."""
        for _ in range(count):
            self._loop.call_soon_threadsafe(self._permits.release)

    def open(self) -> None:
        """Let everything pass from now on."""
        self._open = True
        self.release()

    async def passed(self) -> None:
        self.reached.set()
        if self._open:
            return
        await self._permits.acquire()
        if self._open:
            self._permits.release()


class Book:
    """All requests in the order in which their heads came."""

    def __init__(self) -> None:
        self._seen: list[Seen] = []
        self._changed = threading.Condition()

    def add(self, seen: Seen) -> None:
        with self._changed:
            self._seen.append(seen)
            self._changed.notify_all()

    def all(self) -> list[Seen]:
        with self._changed:
            return list(self._seen)

    def wait_for(self, count: int, timeout_s: float = WAIT_S) -> list[Seen]:
        """At least `count` requests. Raises TimeoutError with what came instead."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._seen) >= count, timeout_s):
                came = [f"{seen.method} {seen.target}" for seen in self._seen]
                raise TimeoutError(f"expected {count} requests within {timeout_s} s, saw {came}")
            return list(self._seen)

    def clear(self) -> None:
        with self._changed:
            self._seen.clear()
