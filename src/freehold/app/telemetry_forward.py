"""Telemetry passed on to a collector, byte for byte, in the order in which it came.

What waits is bounded: a collector that is away for long loses the oldest, and that is said once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from freehold.adapters.telemetry.sender import Sender, SendOutcome
from freehold.adapters.telemetry.signals import Signal
from freehold.core.config_telemetry import TelemetryConfig

MOST_BYTES = 32 * 1024 * 1024
_FIRST_REST_S, _LONGEST_REST_S = 1.0, 60.0
_KEY_WRONG = (401, 403, 407)
"""Says nothing against what was sent: it waits until somebody puts the key right."""


class Collector(Protocol):
    async def post(
        self, signal: Signal, body: bytes, content_type: str, content_encoding: str = ""
    ) -> SendOutcome: ...
    def close(self) -> None: ...


Connect = Callable[[str, Mapping[str, str]], Collector]
"""From an address and headers."""

_Request = tuple[Signal, bytes, str, str]


class Forwarder:
    """Owns the queue to `telemetry.forward`."""

    def __init__(self, config: TelemetryConfig, connect: Connect = Sender) -> None:
        self._connect = connect
        self._queue: deque[_Request] = deque()
        self._bytes = 0
        self._some = asyncio.Event()
        self.dropped = 0
        """Requests that the collector never got."""
        self.sent = 0
        self._refused: set[Signal] = set()
        self._sender: Collector | None = None
        self.use(config)

    @property
    def wanted(self) -> bool:
        return self._sender is not None

    @property
    def waiting(self) -> int:
        """Requests that are not sent yet."""
        return len(self._queue)

    def use(self, config: TelemetryConfig) -> None:
        """Another collector, or none: what waits for the old one goes to the new one."""
        if self._sender is not None:
            self._sender.close()
        self._sender = self._connect(config.forward, config.headers) if config.forward else None
        if self._sender is None:
            self._queue.clear()
            self._bytes = 0

    def take(self, signal: Signal, body: bytes, content_type: str, content_encoding: str) -> None:
        """Queue one request; never waits."""
        if self._sender is None:
            return
        self._queue.append((signal, body, content_type, content_encoding))
        self._bytes += len(body)
        while self._bytes > MOST_BYTES and len(self._queue) > 1:
            self._bytes -= len(self._queue.popleft()[1])
            self.dropped += 1
        self._some.set()

    def close(self) -> None:
        """Let the connection go."""
        if self._sender is not None:
            self._sender.close()

    def _tell_refusal(self, signal: Signal, outcome: SendOutcome, complain: Callable[[str], None]) -> None:
        """Once for each kind of telemetry: a collector may take only some."""
        if outcome.ok:
            self._refused.discard(signal)
        elif signal not in self._refused:
            self._refused.add(signal)
            complain(f"the collector refused {signal} for good: {outcome.words}")

    async def keep(self, complain: Callable[[str], None]) -> None:
        """Send, until cancelled."""
        rest_s, told = _FIRST_REST_S, False
        while True:
            await self._some.wait()
            sender = self._sender
            if sender is None or not self._queue:
                self._some.clear()
                continue
            request = self._queue[0]
            outcome = await sender.post(*request)
            if outcome.again or outcome.status in _KEY_WRONG:
                if not told:
                    complain(f"the collector does not take telemetry: {outcome.words}")
                told = True
                await asyncio.sleep(outcome.after_s or rest_s)
                rest_s = min(rest_s * 2, _LONGEST_REST_S)
                continue
            rest_s = _FIRST_REST_S
            told = False
            self._tell_refusal(request[0], outcome, complain)
            self.sent += outcome.ok
            self.dropped += not outcome.ok
            if self._queue and self._queue[0] is request:
                self._queue.popleft()
                self._bytes -= len(request[1])
