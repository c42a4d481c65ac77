"""All model servers of this machine: the one owner of their processes. Fills the port `ModelServers`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType

from freehold.core.clock import Clock, SystemClock
from freehold.core.errors import ConfigError
from freehold.core.servers import Engine, ServerSpec, ServerView
from freehold.supervisor.server import ManagedServer, PoolSettings

OnChange = Callable[[ServerView], None]


def _ignore(_view: ServerView) -> None:
    pass


class ServerPool:
    """Use as a block: leaving it stops every server, within the settings' bound.

        async with ServerPool(specs, engines, settings) as pool:
            pool.ensure_started("local")

    `engines` maps an engine's name to its adapter. `on_change` is called on the loop after every change
    of a view (its state, or its process); it must not raise. Raises `ConfigError` for an engine that
    nobody brought and for a name used twice.
    """

    def __init__(
        self,
        specs: Iterable[ServerSpec],
        engines: Mapping[str, Engine],
        settings: PoolSettings,
        *,
        clock: Clock | None = None,
        on_change: OnChange = _ignore,
    ) -> None:
        self._engines = engines
        self._settings = settings
        self._clock = clock or SystemClock()
        self._on_change = on_change
        self._servers: dict[str, ManagedServer] = {}
        for spec in specs:
            self.add(spec)

    async def __aenter__(self) -> ServerPool:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(server.end() for server in self._servers.values()))

    def add(self, spec: ServerSpec) -> None:
        """Make a server known, stopped. Raises `ConfigError` as the constructor does."""
        if spec.name in self._servers:
            raise ConfigError(f"two servers are called '{spec.name}'", key=f"servers.{spec.name}")
        engine = self._engines.get(spec.engine)
        if engine is None:
            raise ConfigError(f"no engine '{spec.engine}' here", key=f"servers.{spec.name}.engine")
        self._servers[spec.name] = ManagedServer(spec, engine, self._settings, self._clock, self._on_change)

    def start_all(self) -> None:
        """Ask for every server to run, all at once."""
        for server in self._servers.values():
            server.begin()

    def view(self, name: str) -> ServerView:
        return self._servers[name].view

    def views(self) -> Sequence[ServerView]:
        return [server.view for server in self._servers.values()]

    def ensure_started(self, name: str) -> None:
        self._servers[name].begin()

    def when_ready(self, name: str, callback: OnChange) -> Callable[[], None]:
        return self._servers[name].when_ready(callback)

    def start(self, name: str) -> None:
        """A person's order: start it even if it has failed."""
        self._servers[name].begin_again()

    async def stop(self, name: str) -> None:
        """Stop it and wait until its process is gone."""
        await self._servers[name].end()
