"""Pools of the stand-in engine for tests, and what can be waited for in them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

from freehold.core.deaths import Certificate
from freehold.core.servers import (
    Lease,
    LeaseAsk,
    LeaseRefusal,
    RestartRules,
    ServerSpec,
    ServerState,
    ServerView,
)
from freehold.supervisor.liveness import LiveRules
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.settings import PoolSettings
from tests.supervisor.engines import StandinEngine

BOUND_S = 10.0
QUICK = LiveRules(probe_every_s=0.05, retry_every_s=0.02, deep_every_s=600)


class Seen:
    """Changes and deaths as they come, and a way to wait for one."""

    def __init__(self) -> None:
        self.views: list[ServerView] = []
        self.deaths: list[Certificate] = []
        self.order: list[ServerView | Certificate] = []
        self._came = asyncio.Event()

    def changed(self, view: ServerView) -> None:
        self.views.append(view)
        self.order.append(view)
        self._came.set()

    def died(self, certificate: Certificate) -> None:
        self.deaths.append(certificate)
        self.order.append(certificate)
        self._came.set()

    def states(self, name: str) -> list[ServerState]:
        """Without repetition: a view also changes when its process is there."""
        return [state for state, _ in itertools.groupby(v.state for v in self.views if v.name == name)]

    async def until(self, name: str, state: ServerState, times: int = 1) -> ServerView:
        await self.when(lambda: self.states(name).count(state) >= times)
        return next(v for v in reversed(self.views) if v.name == name and v.state is state)

    async def when(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(BOUND_S):
            while not holds():
                self._came.clear()
                await self._came.wait()

    async def process_of(self, name: str) -> int:
        def pids() -> list[int]:
            return [view.pid for view in self.views if view.name == name and view.pid is not None]

        await self.when(lambda: bool(pids()))
        return pids()[-1]


def spec(how: str, **changes: object) -> ServerSpec:
    """A server of the stand-in engine that behaves so, called so unless `name` says otherwise."""
    rules = RestartRules(tries=3, first_delay_s=0.01)
    return ServerSpec(**{"name": how, "model": how, "engine": "standin", "restart": rules, **changes})  # type: ignore[arg-type]


def pool(folder: Path, seen: Seen, *specs: ServerSpec, **settings: object) -> ServerPool:
    """Probed often, and patiently as by default, unless `settings` say otherwise."""
    chosen = PoolSettings(**{"home": folder, "live": QUICK, **settings})  # type: ignore[arg-type]
    engines = {"standin": StandinEngine(folder)}
    return ServerPool(specs, engines, chosen, on_change=seen.changed, on_death=seen.died)


def ready(servers: ServerPool, name: str) -> Awaitable[ServerView]:
    future: asyncio.Future[ServerView] = asyncio.get_running_loop().create_future()
    servers.when_ready(name, future.set_result)
    return asyncio.wait_for(future, BOUND_S)


def ask(body: bytes = b"{}", **changes: object) -> LeaseAsk:
    return LeaseAsk("call", "caller", body, **changes)  # type: ignore[arg-type]


def waited(servers: ServerPool, name: str, asked: LeaseAsk) -> Awaitable[Lease | LeaseRefusal]:
    """What a call that queues is told."""
    future: asyncio.Future[Lease | LeaseRefusal] = asyncio.get_running_loop().create_future()
    servers.wait(name, asked, future.set_result)
    return asyncio.wait_for(future, BOUND_S)


async def leased(servers: ServerPool, name: str, body: bytes = b"{}") -> Lease:
    """A slot, started for if need be."""
    lease = servers.lease(name, ask(body)) or await waited(servers, name, ask(body))
    assert isinstance(lease, Lease)
    return lease
