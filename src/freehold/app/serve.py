"""The life of one Freehold: open the ledger, listen, look around, serve, drain, close.

Calls are answered as soon as the port is open; discovery and the price table follow beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import secrets
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from freehold.app.finding import Finding
from freehold.app.lazy_web import LazyControlApp
from freehold.app.machine import Machine
from freehold.app.offers import Offers
from freehold.app.port import open_port
from freehold.app.reload import Hands, Reload, reader, watch
from freehold.app.rooms import OptionalRooms
from freehold.app.telling import Report, Teller
from freehold.core.clock import SystemClock
from freehold.core.config import Config
from freehold.core.config_diff import plan_lines
from freehold.core.config_file import LoadedConfig
from freehold.core.deaths import Certificate
from freehold.core.keys import key_name, normal_hash
from freehold.core.listen import Listen, parse_listen
from freehold.core.progress import RUN_FILE, ReadyFacts, Running
from freehold.core.servers import ServerSpec
from freehold.gateway.access import Access
from freehold.gateway.gateway import Gateway
from freehold.gateway.ids import ReceiptIds
from freehold.gateway.limits import Limits
from freehold.gateway.parts import Capture, Parts
from freehold.receipts.deaths import death_receipt
from freehold.receipts.ledger import Ledger, LedgerError
from freehold.receipts.payloads import Payloads

if TYPE_CHECKING:
    from freehold.app.control import HouseControl

DRAIN_S = 10.0


def run(
    loaded: LoadedConfig,
    home: Path,
    *,
    discover: bool,
    report: Report,
    limits: Limits | None = None,
    listen: str | None = None,
) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status. Raises FreeholdError when it cannot start.

    `listen` is what the command line said instead of the configuration: a reload keeps to it.
    """
    house = House(loaded, home, report, limits or Limits(), looking=discover, listen=listen)
    try:
        import uvloop  # noqa: PLC0415 - absent on Windows
    except ImportError:
        asyncio.run(house.live())
    else:
        uvloop.run(house.live())
    return 0


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h
_KEPT_BYTES = 8 * 1024 * 1024
"""Freed memory that is kept for the next call instead of being given back to the system."""


def _settle_memory() -> None:
    """What is loaded now stays, so the collector need not look at it again; calls leave next to no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc: else each 100 KB prompt is mapped and given back page by page
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


class House:
    """Everything of one running Freehold; `live` is its whole life."""

    def __init__(
        self,
        loaded: LoadedConfig,
        home: Path,
        report: Report,
        limits: Limits,
        *,
        looking: bool,
        listen: str | None = None,
    ) -> None:
        self._config: Config = loaded.config
        self._loaded = loaded
        self._home = home
        self._teller = Teller(report)
        self._limits = limits
        self._looking = looking
        self._listen_said = listen
        self._clock = SystemClock()
        self._listen: Listen = parse_listen(self._config.listen)
        self._offers = Offers(loaded, os.environ)
        self._ids = ReceiptIds()
        self._deaths: Counter[tuple[str, str]] = Counter()
        self._owner_key = secrets.token_urlsafe(24)
        self._stop = asyncio.Event()
        self._hung_up = asyncio.Event()
        """SIGHUP came: the configuration is to be read again."""

    async def live(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with contextlib.AsyncExitStack() as stack:
            self._catch_signals()
            self._ledger = stack.enter_context(Ledger.open(self._home, clock=self._clock))
            machine = Machine(self._config, self._home, os.environ)
            stack.callback(machine.close)
            pool = machine.pool(self._clock, self._teller.server_changed, self._server_died)
            self._pool = await stack.enter_async_context(pool)
            self._finding = Finding(self._offers, pool, self._teller, os.environ, self._stop.set)
            catalog = await self._finding.first_catalog(looking=self._looking)
            self._lazy = LazyControlApp()
            rooms = OptionalRooms(self._config, self._home, self._base, self._clock, self._teller.warn)
            self._rooms = await stack.enter_async_context(rooms)
            self._gateway = await stack.enter_async_context(
                Gateway(rooms.parts(self._parts(stack)), catalog, self._lazy)
            )
            server = await open_port(self._gateway, self._listen)
            stack.callback(server.close)
            self._begin(server.sockets[0].getsockname()[1], machine, stack)
            await self._serve()
            server.close()
            if self._finding.failure is not None:
                raise self._finding.failure
            under_way = len(self._gateway.active)
            text = f"stopping; {under_way} calls under way may end" if under_way else "stopping"
            self._teller.say("stopping", text)
            await self._gateway.drain(DRAIN_S)

    def _begin(self, port: int, machine: Machine, stack: contextlib.AsyncExitStack) -> None:
        """The port is open: calls are taken from now on."""
        self._port = port
        self._rooms.serve(self._gateway, self._ledger, self._ids.next, lambda: self._offers.specs, port)
        self._gateway.access = self._access(self._config, port)
        url = Listen(self._listen.host, port).url
        self._reload = self._make_reload()
        started_ms, entries = self._clock.now_ms(), self._ledger.health().entries
        self._lazy.use(lambda: self._make_control(url, machine, started_ms, entries))
        self._note_running(url, stack)
        self._teller.say("listening", f"listening on {url}", url=url)
        _settle_memory()

    async def _serve(self) -> None:
        """Run the beside-tasks in a group that is awaited; returns when asked to stop."""
        facts = ReadyFacts(
            url=Listen(self._listen.host, self._port).url,
            key_needed=bool(self._config.auth.keys),
            models=(),
            home=str(self._home),
            config_file=str(self._loaded.file) if self._loaded.file else None,
        )
        offering = self._finding.look_around if self._looking else self._finding.offer_all
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self._reload_when_hung_up(), name="reload on SIGHUP"),
                group.create_task(self._rooms.keep(), name="rooms"),
                group.create_task(offering(self._gateway, facts), name="discovery"),
            ]
            if self._loaded.file is not None:
                watching = watch(self._loaded.file, self._reload_now, self._loaded.stamps)
                beside.append(group.create_task(watching, name="watch"))
            await self._stop.wait()
            for task in beside:
                task.cancel()

    # -- what happens

    def _server_died(self, certificate: Certificate) -> None:
        """Into the ledger, before anything follows from the death."""
        self._deaths[certificate.server, certificate.cause] += 1
        now_ms = self._clock.now_ms()
        try:
            self._ledger.append(death_receipt(certificate, self._ids.next(now_ms), now_ms))
        except LedgerError as error:
            self._teller.warn("ledger", f"the death of {certificate.server} could not be recorded: {error}")

    async def _reload_when_hung_up(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            await self._reload_now()

    async def _reload_now(self) -> None:
        """Because the file has changed, or a signal asked for it: the outcome is told."""
        plan = await self._reload.reload()
        failed = bool(plan.problems) or any(change.outcome == "failed" for change in plan.changes)
        for line in plan_lines(plan) if plan.changes or plan.problems else ():
            self._teller.say("config", line, warn=failed)

    # -- parts

    def _make_reload(self) -> Reload:
        read = reader(self._loaded, os.environ, Path.cwd(), self._listen_said)
        hands = Hands(
            add=self._pool.add,
            replace=self._pool.replace,
            remove=self._pool.remove,
            start=self._pool.ensure_started,
            make_catalog=self._offers.catalog_of,
            use_catalog=self._gateway.use_catalog,
            use=self._use,
            use_section=self._use_section,
        )
        return Reload(self._config, self._offers.configured, read, hands, os.environ)

    def _use(self, config: Config, configured: Sequence[ServerSpec]) -> None:
        """A new configuration is in force: who may call, and what is offered."""
        self._config = config
        self._offers.use(config, configured)
        self._rooms.use(config, self._gateway)
        self._gateway.access = self._access(config, self._port)

    async def _use_section(self, key: str, config: Config) -> None:
        await self._rooms.use_section(key, config, self._gateway)
        self._gateway.access = self._access(self._config, self._port)

    def _access(self, config: Config, port: int) -> Access:
        hashes = [normal_hash(key).removeprefix("sha256:") for key in config.auth.keys]
        names = {digest: key_name(digest) for digest in hashes}
        if names:
            names |= self._rooms.own_keys
        return Access.of(names, self._listen.host, port)

    def _parts(self, stack: contextlib.AsyncExitStack) -> Parts:
        """What the gateway cannot do without."""
        return Parts(
            ledger=self._ledger,
            prices=self._rooms.prices.first(),
            servers=self._pool,
            clock=self._clock,
            access=self._access(self._config, self._listen.port),
            limits=self._limits,
            capture=self._capture(stack),
        )

    def _capture(self, stack: contextlib.AsyncExitStack) -> Capture | None:
        wanted = self._config.receipts
        if wanted.payloads == "off":
            return None
        folder = Path(wanted.dir) if wanted.dir else self._home / "payloads"
        if not folder.is_absolute() and self._loaded.file is not None:
            folder = self._loaded.file.parent / folder
        payloads = stack.enter_context(Payloads(folder.expanduser()))
        return Capture(put=payloads.put, errors_only=wanted.payloads == "errors")

    def _make_control(self, url: str, machine: Machine, started_ms: int, entries: int) -> HouseControl:
        from freehold.app.control import Facts, HouseControl, Rooms  # noqa: PLC0415 - with its first question

        facts = Facts(
            url=url,
            home=self._home,
            config_file=self._loaded.file,
            started_ms=started_ms,
            entries=entries,
            owner_key=self._owner_key,
            discovery=lambda: self._finding.state,
        )
        rooms = Rooms(
            gateway=self._gateway,
            pool=self._pool,
            ledger=self._ledger,
            machine=machine,
            offers=self._offers,
            reload=self._reload,
            optional=self._rooms,
            deaths=self._deaths,
        )
        return HouseControl(facts, rooms, self._clock)

    def _note_running(self, url: str, stack: contextlib.AsyncExitStack) -> None:
        path = self._home / RUN_FILE
        note = Running(url=url, pid=os.getpid(), started_ms=self._clock.now_ms(), owner_key=self._owner_key)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_bytes(msgspec.json.encode(note))
        part.replace(path)
        stack.callback(path.unlink, missing_ok=True)

    def _catch_signals(self) -> None:
        """SIGHUP reads the configuration again; when the terminal closed, that is all it does, too."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)

    @property
    def _base(self) -> Path:
        """What relative folders of the configuration are relative to."""
        return self._loaded.file.parent if self._loaded.file else Path.cwd()
