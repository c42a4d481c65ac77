"""The control API's questions, answered from the rooms. Implements `web.control.Control`."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from freehold import __version__
from freehold.app.call_views import call_view
from freehold.app.machine import Machine
from freehold.app.meters import Meters
from freehold.app.models import model_views
from freehold.app.money_control import HouseMoney
from freehold.app.offers import Offers
from freehold.app.plan import house_plan
from freehold.app.reload import Reload
from freehold.app.rooms import OptionalRooms
from freehold.app.server_logs import read_log
from freehold.app.server_views import server_view
from freehold.app.telemetry_control import HouseReceiver
from freehold.core.clock import Clock
from freehold.core.config_diff import ReloadPlan
from freehold.core.deaths import Certificate
from freehold.core.errors import FreeholdError
from freehold.core.memory import MachineMemory
from freehold.gateway.gateway import Gateway
from freehold.receipts.deaths import certificates
from freehold.receipts.ledger import Ledger, LedgerError
from freehold.receipts.proofs import prove
from freehold.receipts.query import CostRow, Filter, Grouping, Row, costs, find, list_receipts, open_readonly
from freehold.routing import breaker
from freehold.supervisor.plan import PlanView
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.process import log_path
from freehold.testing.tiny_model import MODEL_NAME
from freehold.web.control import (
    CallView,
    HealthView,
    LedgerView,
    LogView,
    MetricsView,
    ModelView,
    ReceiptView,
    ServerAction,
    ServerView,
    StatusView,
)
from freehold.web.money import ChoiceMeter, MoneyMeter


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What the owner of the house knows."""

    url: str
    home: Path
    config_file: Path | None
    started_ms: int
    entries: int
    """In the ledger, when it started."""
    owner_key: str
    """Of whoever can read the state folder."""
    discovery: Callable[[], Literal["off", "running", "done"]]


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """Who knows what is asked for."""

    gateway: Gateway
    pool: ServerPool
    ledger: Ledger
    machine: Machine
    offers: Offers
    reload: Reload
    optional: OptionalRooms
    deaths: Mapping[tuple[str, str], int]
    """By server and cause."""


class HouseControl:
    """See the module."""

    def __init__(self, facts: Facts, rooms: Rooms, clock: Clock) -> None:
        self._facts = facts
        self._gateway = rooms.gateway
        self._servers = rooms.pool
        self._ledger = rooms.ledger
        self._machine = rooms.machine
        self._offers = rooms.offers
        self._reload = rooms.reload
        self._deaths = rooms.deaths
        self._clock = clock
        self.money = HouseMoney(rooms.optional, rooms.gateway, facts.home, clock, facts.owner_key)
        self.telemetry = HouseReceiver(rooms.optional)
        self._meters = Meters(facts.home, clock, facts.entries)
        self._process = psutil.Process(os.getpid())

    # -- from memory, on the loop

    def status(self) -> StatusView:
        facts, health = self._facts, self._ledger.health()
        views = self._servers.views()
        return StatusView(
            version=__version__,
            url=facts.url,
            pid=os.getpid(),
            started_ms=facts.started_ms,
            uptime_s=(self._clock.now_ms() - facts.started_ms) // 1000,
            home=str(facts.home),
            config_file=str(facts.config_file) if facts.config_file else None,
            key_needed=bool(self._reload.config.auth.keys),
            discovery=facts.discovery(),
            models=len(self._gateway.catalog.aliases) + len(self._gateway.catalog.deployments),
            servers=len(views),
            servers_ready=sum(view.state.value == "ready" for view in views),
            calls=self._gateway.calls,
            in_flight=len(self._gateway.active),
            memory_bytes=self._process.memory_info().rss,
            ledger=LedgerView(entries=health.entries, signed=health.checkpointed, projected=health.projected),
        )

    def health(self) -> HealthView:
        problems: list[str] = []
        fault = self._gateway.fault
        if fault is not None:
            problems.append(fault.message)
        error = self._ledger.health().error
        if error:
            problems.append(f"ledger: {error}")
        problems += [
            f"model server {view.name} has failed: {view.detail}"
            for view in self._servers.views()
            if view.state.value == "failed"
        ]
        return HealthView(ok=not problems, problems=tuple(problems))

    def models(self) -> list[ModelView]:
        now_s = time.monotonic()
        resting = frozenset(
            name for name, state in self._gateway.breaker_states().items() if not breaker.allows(state, now_s)
        )
        return model_views(
            self._gateway.catalog, {view.name: view for view in self._servers.views()}, resting
        )

    def servers(self) -> list[ServerView]:
        pool = self._servers
        return [
            server_view(view, pool.load(view.name), pool.memory_use(view.name), self._meters.speed(view.name))
            for view in pool.views()
        ]

    def calls(self) -> list[CallView]:
        views = [call_view(call) for call in self._gateway.active]
        return sorted(views, key=lambda view: view.started_ms)

    def metrics(self) -> MetricsView:
        return MetricsView(
            status=self.status(),
            servers=tuple(self.servers()),
            deployments=self._meters.deployments(),
            deaths=dict(self._deaths),
            money=self._money_meter(),
            telemetry=self.telemetry.meter(),
        )

    def _money_meter(self) -> MoneyMeter:
        named = {(each.provider, each.model_id) for each in self._gateway.catalog.deployments.values()}
        router, answers = self._gateway.router, self._gateway.answers
        return MoneyMeter(
            budgets=self.money.budgets(),
            limits=[
                view for view in self.money.limits() if not view.model or (view.provider, view.model) in named
            ],
            cache=self._meters.kept(None if answers is None else answers.counts()),
            choices=ChoiceMeter()
            if router is None
            else ChoiceMeter(tiers=dict(router.decided), escalations=router.escalations),
            shadow=self.money.shadow_now(),
        )

    # -- awaited

    async def refresh(self) -> None:
        await asyncio.to_thread(self._meters.catch_up)

    async def act(self, server: str, action: ServerAction) -> ServerView:
        pool = self._servers
        pool.view(server)  # raises KeyError
        if action == "start":
            pool.start(server)
        elif action == "stop":
            await pool.stop(server)
        elif action == "restart":
            await pool.restart(server)
        else:
            pool.take_over(server)
        return next(view for view in self.servers() if view.name == server)

    async def reload(self, *, dry_run: bool) -> ReloadPlan:
        return await self._reload.reload(dry_run=dry_run)

    async def plan(self) -> PlanView:
        machine = self._machine
        specs = [spec for spec in self._offers.specs if spec.name != MODEL_NAME]

        def make() -> PlanView:
            seen = machine.gauge.machine()
            return house_plan(machine.appraiser, specs, seen, machine.settings.reserve, views, uses)

        views = self._servers.views()
        held = {view.name: self._servers.memory_use(view.name) for view in views}
        uses = {name: use for name, use in held.items() if use is not None}
        return await asyncio.to_thread(make)

    # -- from files, in worker threads

    def receipts(self, wanted: Filter) -> list[Row]:
        with open_readonly(self._facts.home) as db:
            return list_receipts(db, wanted)

    def receipt(self, receipt_id: str) -> ReceiptView | None:
        try:
            index, receipt = find(self._facts.home, receipt_id)
        except LedgerError as error:
            if "several" in str(error):
                raise
            return None
        return ReceiptView(index=index, receipt=receipt)

    def proof(self, receipt_id: str) -> str | None:
        if self.receipt(receipt_id) is None:
            return None
        try:
            return prove(self._facts.home, receipt_id)
        except FreeholdError:
            raise
        except ValueError as error:
            raise FreeholdError(str(error)) from error

    def costs(self, by: Grouping, since_ms: int | None, until_ms: int | None) -> list[CostRow]:
        with open_readonly(self._facts.home) as db:
            return costs(db, by, since_ms, until_ms)

    def machine(self) -> MachineMemory:
        return self._machine.gauge.machine()

    def certificates(self, server: str, limit: int) -> list[Certificate]:
        return certificates(self._facts.home, server, limit)

    def log(self, server: str, lines: int, since: int | None) -> LogView:
        self._servers.view(server)  # raises KeyError
        return read_log(log_path(self._machine.settings.logs, server), lines, since)
