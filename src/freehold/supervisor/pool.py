"""All model servers of this machine: the one owner of their processes. Fills the port `ModelServers`."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType

from freehold.core.clock import Clock, SystemClock
from freehold.core.deaths import Certificate
from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.memory import MemoryUse
from freehold.core.servers import (
    Engine,
    Lease,
    LeaseAsk,
    LeaseRefusal,
    ServerLoad,
    ServerSpec,
    ServerState,
    ServerView,
)
from freehold.supervisor import leftover, quarantine
from freehold.supervisor.arbiter import Arbiter
from freehold.supervisor.leasing import Answer
from freehold.supervisor.orders import Order
from freehold.supervisor.process import EngineProcess, OwnerLock
from freehold.supervisor.quarantine import Quarantine
from freehold.supervisor.records import Records
from freehold.supervisor.residency import Residency
from freehold.supervisor.sampling import sample
from freehold.supervisor.server import ManagedServer
from freehold.supervisor.settings import PoolSettings
from freehold.supervisor.status import OnChange
from freehold.supervisor.ties import Ties

OnDeath = Callable[[Certificate], None]

_CERTIFICATES = 20
"""Kept for each server; the ledger has them all."""
_PROVEN = 90
_NO_CALLS_FAULT = frozenset(
    {"asked-by-us", "host-reboot", "parent-died", "hangup", "port-taken", "missing-library", "disk-full"}
)


def _ignore(_fact: ServerView | Certificate) -> None:
    pass


class ServerPool:
    """Use as a block: leaving it stops every server, within its bounds, or leaves them all running
    (`settings.keep_servers`).

        async with ServerPool(specs, engines, settings) as pool:
            pool.ensure_started("local")

    `engines` maps an engine's name to its adapter. `on_change` is called on the loop after every change
    of a view, `on_death` before anything follows from a death; neither may raise. Raises `ConfigError` for
    an engine that nobody brought and for a name used twice; entering raises `FreeholdError` when another
    Freehold has these servers.
    """

    def __init__(
        self,
        specs: Iterable[ServerSpec],
        engines: Mapping[str, Engine],
        settings: PoolSettings,
        *,
        clock: Clock | None = None,
        on_change: OnChange = _ignore,
        on_death: OnDeath = _ignore,
    ) -> None:
        self.on_change = on_change
        self.on_death = on_death
        self._engines = engines
        self._settings = settings
        self._clock = clock or SystemClock()
        self._ties = Ties(
            settings=settings,
            clock=self._clock,
            records=Records(settings.servers / "records.json"),
            on_death=self._died,
        )
        self._servers: dict[str, ManagedServer] = {}
        self._certificates: dict[str, deque[Certificate]] = {}
        self._quarantine = Quarantine()
        self._blocked: frozenset[str] = frozenset()
        self._arbiter = Arbiter(self._servers, settings, settings.swap, self._clock)
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: OwnerLock | None = None
        for spec in specs:
            self.add(spec)

    async def __aenter__(self) -> ServerPool:
        try:
            self._lock = OwnerLock(self._settings.servers)
        except BlockingIOError as error:
            raise FreeholdError(
                f"another Freehold looks after the model servers of {self._settings.home}"
            ) from error
        self._tasks = [asyncio.create_task(self._arbiter.run(), name="arbiter")]
        if self._settings.gauge is not None:
            self._tasks.append(asyncio.create_task(self._sample(), name="memory samples"))
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        order = Order(reason="Freehold ends", then="leave" if self._settings.keep_servers else "stay")
        try:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await asyncio.gather(*(server.leave(order) for server in self._servers.values()))
        finally:
            if self._lock is not None:
                self._lock.release()

    async def _sample(self) -> None:
        assert self._settings.gauge is not None
        while True:
            running = [s.life.running for s in self._servers.values() if s.life.running is not None]
            await sample(self._settings.gauge, running)
            await asyncio.sleep(self._settings.sample_every_s)

    # -- which there are

    def add(self, spec: ServerSpec) -> None:
        """Make a server known, stopped. Raises `ConfigError` as the constructor does."""
        if spec.name in self._servers:
            raise ConfigError(f"two servers are called '{spec.name}'", key=f"servers.{spec.name}")
        self._servers[spec.name] = ManagedServer(spec, self._engine(spec), self._ties, self._changed)

    async def replace(self, spec: ServerSpec) -> None:
        """Go on under another specification: a server that runs is drained, stopped and started again; its
        queue goes on waiting. One whose process stays the same goes on running. Raises `KeyError`, and
        `ConfigError` for an unknown engine."""
        await self._servers[spec.name].replace(spec, self._engine(spec), "its configuration has changed")
        self._arbiter.nudge()

    async def remove(self, name: str) -> None:
        """Drain, stop and forget it. Raises `KeyError`."""
        server = self._servers[name]
        server.leasing.refuse(LeaseRefusal(code="gone", message=f"model server '{name}' was removed"))
        order = Order(reason="it is no longer configured", drain_s=server.spec.drain_timeout_s)
        await server.leave(order)
        self._servers.pop(name, None)
        self._ties.records.forget(name)
        self._arbiter.nudge()

    def _engine(self, spec: ServerSpec) -> Engine | None:
        """None for an adopted server."""
        if spec.adopt:
            return None
        engine = self._engines.get(spec.engine)
        if engine is None:
            raise ConfigError(f"no engine '{spec.engine}' here", key=f"servers.{spec.name}.engine")
        return engine

    # -- orders

    def start_all(self) -> None:
        """Ask for all that shall always run, where there is room; and look for those that others run."""
        for server in self._servers.values():
            if server.spec.start == "always" or server.spec.adopt:
                server.begin(due=True)

    def start(self, name: str) -> None:
        """A person's order: start it even if it has failed."""
        self._quarantine = quarantine.forgive(self._quarantine, name)
        self._blocked = self._quarantine.blocked
        self._servers[name].begin_again()

    async def stop(self, name: str, reason: str = "") -> None:
        """Let calls in flight end within its bound, then stop it and wait until its process is gone."""
        server = self._servers[name]
        await server.end(Order(reason=reason or "stopped by hand", drain_s=server.spec.drain_timeout_s))

    async def restart(self, name: str) -> None:
        """Stop it as `stop` does, and ask for it again; calls that wait go on waiting."""
        server = self._servers[name]
        server.life.forgive()
        order = Order(reason="restarted by hand", drain_s=server.spec.drain_timeout_s, then="start")
        await server.end(order)
        server.begin()

    def take_over(self, name: str) -> None:
        """An adopted server becomes ours, and runs on: it may be stopped, restarted and evicted from now on.
        Raises FreeholdError when nobody answers there, or nothing says how to start it again."""
        server = self._servers[name]
        spec = server.spec
        kind = "command" if spec.command else "llama.cpp" if spec.model.startswith("/") else ""
        engine = self._engines.get(kind if spec.engine == "adopt" else spec.engine)
        if not spec.adopt:
            raise FreeholdError(f"'{name}' is ours already")
        if engine is None:
            raise FreeholdError(
                f"'{name}' cannot be taken over: nothing says how to start it again; give it its model's path"
            )
        server.take_over(engine)

    async def adopt_running(self, *, stop_others: bool = True) -> None:
        """Go on with the servers that an earlier Freehold left running, and tell of those that ended
        meanwhile. One that was started otherwise than it is configured now is restarted; one that nobody
        configured is stopped (`stop_others`). May be called again when more servers are known."""
        known = {self._settings.folder(name): server for name, server in self._servers.items()}
        for folder, server in known.items():
            if server.spec.adopt or server.status.state is not ServerState.STOPPED:
                continue
            if EngineProcess.find(folder) is not None:
                server.take_up()
            else:
                await leftover.tell_left_exit(server.spec, self._ties)
        if stop_others:
            folders = [folder for folder in self._settings.servers.iterdir() if folder.is_dir()]
            others = [EngineProcess.find(folder) for folder in folders if folder not in known]
            await asyncio.gather(*(self._stop_other(found) for found in others if found is not None))

    async def _stop_other(self, found: EngineProcess) -> None:
        unknown = ServerSpec(name=found.log.stem, engine="")
        await leftover.end(unknown, found, self._ties, "nobody has configured it any more")

    # -- to see

    def view(self, name: str) -> ServerView:
        return self._servers[name].status.view

    def views(self) -> Sequence[ServerView]:
        return [server.status.view for server in self._servers.values()]

    def load(self, name: str) -> ServerLoad:
        return self._servers[name].leasing.slots.load(self._clock.monotonic_s())

    def memory_use(self, name: str) -> MemoryUse | None:
        """What it held at the newest reading; None before the first. Raises `KeyError`."""
        running = self._servers[name].life.running
        return running.memory[-1] if running is not None and running.memory else None

    def certificates(self, name: str) -> Sequence[Certificate]:
        """Of this run of Freehold, newest first."""
        return tuple(self._certificates.get(name, ()))

    async def snapshot(self) -> Residency:
        """All servers and the machine now, as it is decided about them."""
        return self._arbiter.residency(*await self._arbiter.measure())

    # -- calls

    def lease(self, name: str, ask: LeaseAsk) -> Lease | LeaseRefusal | None:
        server = self._servers[name]
        if self._blocked and (refusal := self._quarantined(name, ask)) is not None:
            return refusal
        return server.leasing.take(ask) or server.refusal()

    def wait(self, name: str, ask: LeaseAsk, callback: Answer) -> Callable[[], None]:
        server = self._servers[name]
        if server.is_waiting:
            self._arbiter.nudge()  # who waits, and how urgently, is no longer the same
        if self._blocked and (refusal := self._quarantined(name, ask)) is not None:
            handle = asyncio.get_running_loop().call_soon(callback, refusal)
            return handle.cancel
        return server.wait(ask, callback)

    def release(self, lease: Lease, *, failed: bool = False) -> None:
        server = self._servers.get(lease.server)
        if server is None:
            return
        server.leasing.give_back(lease, failed=failed)
        server.gave_back(failed=failed, now_s=self._clock.monotonic_s())
        if self._arbiter.somebody_waits:
            self._arbiter.nudge()

    def estimated_wait_s(self, name: str) -> float | None:
        return self._servers[name].estimated_wait_s(self._clock.monotonic_s())

    def ensure_started(self, name: str) -> None:
        self._servers[name].begin()

    def when_ready(self, name: str, callback: OnChange) -> Callable[[], None]:
        return self._servers[name].status.when_ready(callback)

    def _quarantined(self, name: str, ask: LeaseAsk) -> LeaseRefusal | None:
        digest = hashlib.sha256(ask.body).hexdigest()
        if digest not in self._blocked:
            return None
        message = quarantine.blocks(self._quarantine, digest, name)
        return None if message is None else LeaseRefusal(code="quarantined", message=message)

    # -- what happens

    def _changed(self, view: ServerView) -> None:
        self.on_change(view)
        self._arbiter.nudge()

    def _died(self, certificate: Certificate) -> None:
        name = certificate.server
        self._certificates.setdefault(name, deque(maxlen=_CERTIFICATES)).appendleft(certificate)
        if not certificate.ordered and not _is_no_calls_fault(certificate):
            self._quarantine = quarantine.after_death(self._quarantine, certificate.in_flight, name)
            self._blocked = self._quarantine.blocked
        self.on_death(certificate)


def _is_no_calls_fault(certificate: Certificate) -> bool:
    killed = certificate.cause == "killed-by" and certificate.confidence >= _PROVEN
    return killed or certificate.cause in _NO_CALLS_FAULT
