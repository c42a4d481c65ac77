"""The life of one Freehold: open the ledger, listen, look around, serve, drain, close.

Calls are answered as soon as the port is open; discovery and the price table follow beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec

from freehold.adapters.engines.llamacpp import LlamaCpp
from freehold.adapters.providers.catalog import (
    build_catalog,
    configured_servers,
    found_servers,
    unlisted,
    with_listed,
)
from freehold.adapters.providers.discover import Discovery, discover, list_models
from freehold.app.control import Facts, HouseControl
from freehold.app.lazy_web import LazyControlApp
from freehold.app.models import model_rows
from freehold.core.catalog import Catalog
from freehold.core.clock import SystemClock
from freehold.core.config import Config
from freehold.core.config_file import LoadedConfig
from freehold.core.errors import ConfigError, FreeholdError
from freehold.core.keys import key_name, normal_hash
from freehold.core.listen import Listen, parse_listen
from freehold.core.progress import RUN_FILE, Progress, ReadyFacts, Running, ready_progress
from freehold.core.servers import ServerSpec, ServerState, ServerView
from freehold.costs.book import PriceBook
from freehold.costs.snapshot import ensure_snapshot
from freehold.costs.table import PriceTableError
from freehold.gateway.access import Access
from freehold.gateway.gateway import Gateway
from freehold.gateway.limits import Limits
from freehold.gateway.parts import Capture, Parts
from freehold.receipts.ledger import Ledger
from freehold.receipts.payloads import Payloads
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.server import PoolSettings
from freehold.testing.tiny_model import MODEL_NAME, model_path

Report = Callable[[Progress], None]

DRAIN_S = 10.0
_TEST_CONTEXT, _TEST_SLOTS = 32_768, 2


def run(
    loaded: LoadedConfig, home: Path, *, discover: bool, report: Report, limits: Limits | None = None
) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status. Raises FreeholdError when it cannot start."""
    house = House(loaded, home, report, limits or Limits(), looking=discover)
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
        self, loaded: LoadedConfig, home: Path, report: Report, limits: Limits, *, looking: bool
    ) -> None:
        self._config: Config = loaded.config
        self._loaded = loaded
        self._home = home
        self._report = report
        self._limits = limits
        self._looking = looking
        self._clock = SystemClock()
        self._listen: Listen = parse_listen(self._config.listen)
        self._specs: list[ServerSpec] = []
        self._stop = asyncio.Event()
        self._failure: ConfigError | None = None
        """Found out while running: the configuration names what is nowhere."""
        self._priced = False

    async def live(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
        async with contextlib.AsyncExitStack() as stack:
            ledger = stack.enter_context(Ledger.open(self._home, clock=self._clock))
            settings = PoolSettings(logs=self._home / "logs")
            pool = ServerPool(
                (), {"llama.cpp": LlamaCpp(os.environ)}, settings, on_change=self._server_changed
            )
            self._pool = await stack.enter_async_context(pool)
            catalog, late = self._first_catalog()
            self._lazy = LazyControlApp()
            parts = Parts(
                ledger=ledger,
                prices=self._prices_at_hand(),
                servers=pool,
                clock=self._clock,
                access=self._access(self._listen.port),
                limits=self._limits,
                capture=self._capture(stack),
            )
            self._gateway = await stack.enter_async_context(Gateway(parts, catalog, self._lazy))
            server = await self._open_port(self._gateway)
            stack.callback(server.close)
            port: int = server.sockets[0].getsockname()[1]
            self._gateway.access = self._access(port)
            url = Listen(self._listen.host, port).url
            self._control = self._make_control(url, ledger)
            self._lazy.use(self._control)
            self._note_running(url, stack)
            self._catch_signals()
            self._say("listening", f"listening on {url}", url=url)
            _settle_memory()
            await self._serve(url, late)
            server.close()
            if self._failure is not None:
                raise self._failure
            under_way = len(self._gateway.active)
            self._say(
                "stopping", f"stopping; {under_way} calls under way may end" if under_way else "stopping"
            )
            await self._gateway.drain(DRAIN_S)

    async def _serve(self, url: str, late: ConfigError | None) -> None:
        """Run the beside-tasks in a group that is awaited; returns when asked to stop."""
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._fetch_prices(), name="prices")]
            if self._looking:
                self._control.discovery = "running"
                beside.append(group.create_task(self._look_around(url, late), name="discovery"))
            else:
                self._offer_test_model(Discovery())
                beside.append(group.create_task(self._announce(url, None), name="announce"))
            await self._stop.wait()
            for task in beside:
                task.cancel()

    # -- what can be asked for

    def _first_catalog(self) -> tuple[Catalog, ConfigError | None]:
        """The configuration's own catalog. A candidate that is nowhere may still be discovered: then the
        error waits until the looking is over."""
        folder = self._loaded.file.parent if self._loaded.file else Path.cwd()
        self._specs = configured_servers(self._config, folder, os.environ)
        for spec in self._specs:
            self._pool.add(spec)
        self._pool.start_all()
        try:
            return build_catalog(self._config, Discovery(), self._specs), None
        except ConfigError as error:
            if not self._looking:
                raise
            bare = msgspec.structs.replace(self._config, models={})
            return build_catalog(bare, Discovery(), self._specs), error

    async def _look_around(self, url: str, late: ConfigError | None) -> None:
        found = await discover(os.environ)
        for spec in found_servers(found.files, self._taken(found)):
            self._specs.append(spec)
            self._pool.add(spec)
        self._offer_test_model(found)
        catalog = self._catalog_or_none(found, late)
        if catalog is None:
            return
        self._gateway.use_catalog(catalog)
        self._control.discovery = "done"
        count = len(found.providers) + len(found.files)
        self._say(
            "discovery",
            f"found {count} places to run models on this machine" if count else "nothing else found",
        )
        await self._announce(url, found)
        asked = unlisted(self._config, found)
        if asked:
            listed = await asyncio.gather(*(list_models(one) for one in asked))
            self._gateway.use_catalog(build_catalog(self._config, with_listed(found, listed), self._specs))

    def _catalog_or_none(self, found: Discovery, late: ConfigError | None) -> Catalog | None:
        try:
            return build_catalog(self._config, found, self._specs)
        except ConfigError as error:
            self._failure = late or error
            self._stop.set()
            return None

    def _taken(self, found: Discovery) -> list[str]:
        names = [spec.name for spec in self._specs]
        return [
            *names,
            *self._config.providers,
            *self._config.models,
            *(one.provider.name for one in found.providers),
        ]

    def _offer_test_model(self, found: Discovery) -> None:
        """Where nothing is configured, the built-in model answers: at once when there is nothing else."""
        if self._config.providers or self._config.servers:
            return
        spec = ServerSpec(name=MODEL_NAME, model=str(model_path()), context=_TEST_CONTEXT, slots=_TEST_SLOTS)
        self._specs.append(spec)
        self._pool.add(spec)
        catalog = self._catalog_or_none(found, None)
        if catalog is not None:
            self._gateway.use_catalog(catalog)
        if not found.providers and not found.files:
            self._pool.ensure_started(MODEL_NAME)

    async def _announce(self, url: str, found: Discovery | None) -> None:
        """Tell that all is there, once the servers that are starting are ready (or have failed)."""
        starting = [view.name for view in self._pool.views() if view.state is not ServerState.STOPPED]
        await asyncio.gather(*(self._until_ready(name) for name in starting))
        views = {view.name: view for view in self._pool.views()}
        facts = ReadyFacts(
            url=url,
            key_needed=bool(self._config.auth.keys),
            models=model_rows(self._gateway.catalog, views),
            home=str(self._home),
            config_file=str(self._loaded.file) if self._loaded.file else None,
        )
        self._report(ready_progress(facts))

    async def _until_ready(self, name: str) -> ServerView:
        future: asyncio.Future[ServerView] = asyncio.get_running_loop().create_future()
        cancel = self._pool.when_ready(name, lambda view: None if future.done() else future.set_result(view))
        try:
            return await future
        finally:
            cancel()

    def _server_changed(self, view: ServerView) -> None:
        failed = view.state in (ServerState.FAILED, ServerState.BACKOFF)
        text = f"model server {view.name}: {view.state.value}" + (f" ({view.detail})" if view.detail else "")
        self._say("server", text, warn=failed, name=view.name, state=view.state.value)

    # -- parts

    def _access(self, port: int) -> Access:
        hashes = [normal_hash(key).removeprefix("sha256:") for key in self._config.auth.keys]
        return Access.of({digest: key_name(digest) for digest in hashes}, self._listen.host, port)

    def _capture(self, stack: contextlib.AsyncExitStack) -> Capture | None:
        wanted = self._config.receipts
        if wanted.payloads == "off":
            return None
        folder = Path(wanted.dir) if wanted.dir else self._home / "payloads"
        if not folder.is_absolute() and self._loaded.file is not None:
            folder = self._loaded.file.parent / folder
        payloads = stack.enter_context(Payloads(folder.expanduser()))
        return Capture(put=payloads.put, errors_only=wanted.payloads == "errors")

    def _prices_at_hand(self) -> PriceBook:
        """The price table of an earlier start, else none yet: making it must not delay the port."""
        folder = self._home / "prices"
        if folder.is_dir() and any(folder.iterdir()):
            with contextlib.suppress(PriceTableError):
                book = PriceBook.load(ensure_snapshot(folder))
                self._priced = True
                return book
        return PriceBook.empty()

    async def _fetch_prices(self) -> None:
        if self._priced:
            return
        try:
            path = await asyncio.to_thread(ensure_snapshot, self._home / "prices")
            self._gateway.use_prices(PriceBook.load(path))
        except PriceTableError as error:
            self._say("config", f"costs will be unknown: {error}", warn=True)

    async def _open_port(self, gateway: Gateway) -> asyncio.Server:
        listen = self._listen
        try:
            return await asyncio.get_running_loop().create_server(
                cast("Callable[[], asyncio.Protocol]", gateway.connection),
                listen.host,
                listen.port,
                backlog=2048,
                reuse_address=True,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise FreeholdError(
                    f"port {listen.port} on {listen.host} is taken by another program: stop it, or choose "
                    "another with --listen HOST:PORT. `freehold doctor` shows who holds it."
                ) from error
            raise FreeholdError(
                f"cannot listen on {self._config.listen}: {error.strerror or error}"
            ) from error

    def _make_control(self, url: str, ledger: Ledger) -> HouseControl:
        facts = Facts(
            url=url,
            home=self._home,
            config_file=self._loaded.file,
            key_needed=bool(self._config.auth.keys),
            started_ms=self._clock.now_ms(),
        )
        return HouseControl(facts, self._gateway, self._pool, ledger, self._clock)

    def _note_running(self, url: str, stack: contextlib.AsyncExitStack) -> None:
        path = self._home / RUN_FILE
        note = Running(url=url, pid=os.getpid(), started_ms=self._clock.now_ms())
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(note))
        part.replace(path)
        stack.callback(path.unlink, missing_ok=True)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)

    def _say(self, stage: str, text: str, *, warn: bool = False, **data: object) -> None:
        kind = msgspec.convert(
            {"stage": stage, "text": text, "data": data, "level": "warn" if warn else "info"}, Progress
        )
        self._report(kind)
