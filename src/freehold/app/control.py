"""The control API's questions, answered from the rooms. Implements `web.control.Control`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from freehold import __version__
from freehold.app.models import model_views
from freehold.core.clock import Clock
from freehold.core.errors import FreeholdError
from freehold.core.servers import ModelServers
from freehold.gateway.gateway import Gateway
from freehold.receipts.ledger import Ledger, LedgerError
from freehold.receipts.proofs import prove
from freehold.receipts.query import CostRow, Filter, Grouping, Row, costs, find, list_receipts, open_readonly
from freehold.routing import breaker
from freehold.web.control import HealthView, LedgerView, ModelView, ReceiptView, ServerView, StatusView

Discovering = Literal["off", "running", "done"]


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while Freehold runs."""

    url: str
    home: Path
    config_file: Path | None
    key_needed: bool
    started_ms: int


class HouseControl:
    """See the module. `discovery` is set by the owner as it goes on."""

    def __init__(
        self, facts: Facts, gateway: Gateway, servers: ModelServers, ledger: Ledger, clock: Clock
    ) -> None:
        self.discovery: Discovering = "off"
        self._facts = facts
        self._gateway = gateway
        self._servers = servers
        self._ledger = ledger
        self._clock = clock
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
            key_needed=facts.key_needed,
            discovery=self.discovery,
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
        in_flight: dict[str, int] = {}
        for call in self._gateway.active:
            name = call.target.deployment.server if call.target is not None else None
            if name:
                in_flight[name] = in_flight.get(name, 0) + 1
        return [
            ServerView(
                name=view.name,
                engine=view.engine,
                model=view.model,
                state=view.state.value,
                context=view.context,
                slots=view.slots,
                in_flight=in_flight.get(view.name, 0),
                pid=view.pid,
                url=view.base_url,
                detail=view.detail,
            )
            for view in self._servers.views()
        ]

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
