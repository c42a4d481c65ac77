"""A model server that someone else runs: watched, used, and never stopped before it was taken over.

It reads like `supervisor.process.EngineProcess`. Its output stays with whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from freehold.core.deaths import ExitFacts, Order
from freehold.core.errors import FreeholdError
from freehold.supervisor.process_end import ProcessEnd
from freehold.supervisor.processes import alive, born, kill

_CONNECT_S = 2.0
_LOOK_EVERY_S = 1.0
_KILL_WAIT_S = 5.0
_REAP_WAIT_S = 0.5
"""So long its own parent may take to take it away; only then the kernel says how it ended."""


class NotOursError(FreeholdError):
    """A server of someone else's was to be stopped."""


class ForeignProcess:
    """Made by `adopt`; `wait` may be called by many."""

    def __init__(self, base_url: str, pid: int | None, *, look_every_s: float = _LOOK_EVERY_S) -> None:
        parts = urlsplit(base_url)
        self.base_url = base_url
        self.host = parts.hostname or "127.0.0.1"
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.pid = pid
        """Who listens there; None when it runs elsewhere, or the kernel does not let us see."""
        self.keeper_pid: int | None = None
        self.launch_key = ""
        self.log: Path | None = None
        self.started_ms, self.program = _describe(pid)
        """Zero and no name when the process is not known."""
        self.ours = False
        self._look_every_s = look_every_s
        self._birth = "" if pid is None else born(pid)
        self._end = None if pid is None else ProcessEnd(pid, self._birth, reaped_by_us=False)
        self._orders: list[Order] = []
        self._facts: ExitFacts | None = None
        self._learning = asyncio.Lock()

    @classmethod
    async def adopt(cls, base_url: str) -> ForeignProcess:
        """Find who serves this address. Raises OSError when nobody answers there."""
        found = cls(base_url, None)
        if not await found._answers():
            raise ConnectionRefusedError(f"nobody answers at {base_url}")
        found = cls(base_url, await asyncio.to_thread(listener_pid, found.host, found.port))
        if found._end is not None:
            found._end.hold()
        return found

    @property
    def ended(self) -> bool:
        """It runs no more, as far as can be seen; `wait` tells how it ended, or is about to."""
        return self.pid is not None and not alive(self.pid, self._birth)

    def orders(self) -> tuple[Order, ...]:
        return tuple(self._orders)

    def last_lines(self, count: int = 60) -> tuple[str, ...]:
        """None: its output goes elsewhere."""
        return ()

    def output(self) -> list[str]:
        return []

    def leave(self) -> None:
        """Watch it no more; it runs on. Nobody may be waiting."""
        if self._end is not None:
            self._end.leave()

    def keep_end(self) -> None:
        """Nothing: whoever started it keeps what it leaves."""

    def told(self) -> None:
        """Nothing, likewise."""

    async def wait(self) -> ExitFacts:
        """When it ended, and how as far as the kernel tells strangers (Linux 6.15 and later)."""
        if self._end is None:
            while await self._answers():  # noqa: ASYNC110  (a stranger far away tells nobody)
                await asyncio.sleep(self._look_every_s)
        else:
            await self._end.wait()
        async with self._learning:
            if self._facts is None:
                self._facts = await self._learn()
        return self._facts

    def take_over(self) -> None:
        """From now on it may be stopped."""
        self.ours = True

    async def stop(self, number: signal.Signals, within_s: float, reason: str) -> ExitFacts:
        """Send it the signal; kill it and its children when it has not ended `within_s` seconds later.
        Raises NotOursError unless it was taken over, TimeoutError when even that does not end it."""
        if not self.ours:
            raise NotOursError(f"the server at {self.base_url} is someone else's; take it over to stop it")
        if self.pid is None:
            raise NotOursError(f"who serves {self.base_url} cannot be seen from here; stop it where it runs")
        children = await asyncio.to_thread(_descendants, self.pid)
        self._order(number, reason)
        try:
            async with asyncio.timeout(within_s):
                return await self.wait()
        except TimeoutError:
            self._order(signal.SIGKILL, f"it did not end within {within_s:g} s of {number.name}")
            async with asyncio.timeout(_KILL_WAIT_S):
                return await self.wait()
        finally:
            for child in children:
                with contextlib.suppress(psutil.Error):
                    child.kill()  # checks that the number is still the child's

    def _order(self, number: signal.Signals, reason: str) -> None:
        if self.pid is not None and alive(self.pid, self._birth):
            self._orders.append(Order(at_ms=_now_ms(), signal=number, reason=reason))
            kill(self.pid, number)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(_CONNECT_S):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def _learn(self) -> ExitFacts:
        died_ms = _now_ms()
        status: int | None = None
        if self._end is not None:
            until_s = time.monotonic() + _REAP_WAIT_S
            while (status := self._end.wait_status()) is None and time.monotonic() < until_s:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            self._end.leave()
        if status is None:
            return ExitFacts(died_ms=died_ms)
        by_signal = os.WIFSIGNALED(status)
        return ExitFacts(
            code=None if by_signal else os.WEXITSTATUS(status),
            signal=os.WTERMSIG(status) if by_signal else None,
            core_dumped=by_signal and os.WCOREDUMP(status),
            died_ms=died_ms,
        )


def listener_pid(host: str, port: int) -> int | None:
    """The process that listens on this port of this machine. None for another machine, and for a process
    that may not be looked into. Blocking, some milliseconds."""
    if host not in ("localhost", "127.0.0.1", "::1"):
        return None
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                return connection.pid
    return None


def _describe(pid: int | None) -> tuple[int, str]:
    """When it began (UTC milliseconds) and its name. Its command line may hold secrets: not ours to show."""
    if pid is not None:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            return round(process.create_time() * 1000), f"{process.name()}, started by someone else"
    return 0, ""


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
