"""The rooms that a house may have or do without: budgets, kept answers, the router, limits, energy.

Made from the configuration, put into the gateway's `Parts`, kept going beside the calls.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType

import msgspec

from freehold.app.budgets import HouseBudgets
from freehold.app.cache import HouseCache
from freehold.app.energy import HouseEnergy
from freehold.app.limits import HouseLimits
from freehold.app.outcomes import OutcomeBook
from freehold.app.routing import places_of, routing_rules
from freehold.core.clock import Clock
from freehold.core.config import Config
from freehold.core.servers import ServerSpec
from freehold.costs.budgets.answers import BudgetEvent
from freehold.costs.budgets.book import BudgetBook
from freehold.costs.budgets.queue import BudgetQueue
from freehold.gateway.gateway import Gateway
from freehold.gateway.parts import Parts
from freehold.receipts.ledger import Ledger
from freehold.routing.router import Router

Say = Callable[[str, str], None]
"""A stage and a text, for people; a warning."""
SpecsOf = Callable[[], Sequence[ServerSpec]]


class ToldBudgets:
    """Budgets as the gateway has them: what happens to them is told. Implements `gateway.parts.Budgets`."""

    def __init__(self, house: HouseBudgets, say: Say) -> None:
        self.book: BudgetBook = house.book
        self.queue: BudgetQueue = house.queue
        self._say = say

    def tell(self, events: Sequence[BudgetEvent]) -> None:
        for event in events:
            self._say("budget", event.text)


class OptionalRooms:
    """An async context, entered before the gateway is made; then `parts`, `serve`, and `keep` beside."""

    def __init__(self, config: Config, home: Path, base: Path, clock: Clock, say: Say) -> None:
        """`base`: what relative folders in the configuration are relative to."""
        self._config = config
        self._home = home
        self._clock = clock
        self._say = say
        self.cache = HouseCache(config.cache, home, base, clock)
        self.limits = HouseLimits(home, config.limits.human_reserve, clock)
        self.energy = HouseEnergy(config.energy, home, clock)
        self.router = Router()
        self.budgets: HouseBudgets | None = None
        """None where none is configured."""
        self.outcomes: OutcomeBook | None = None
        """There once `serve` has been called."""
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> OptionalRooms:
        """Reads what earlier calls have spent. Raises PostingsError, LedgerError, ConfigError."""
        await self._stack.enter_async_context(self.cache)
        self.budgets = HouseBudgets.open(self._home, self._config.budgets, self._clock.now_ms())
        if self.budgets is not None:
            self._stack.callback(self.budgets.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.outcomes is not None:
            with contextlib.suppress(OSError):
                await self.outcomes.save()
        await self._stack.aclose()

    def parts(self, parts: Parts) -> Parts:
        """The same with these rooms in it."""
        budgets = None if self.budgets is None else ToldBudgets(self.budgets, self._say)
        if budgets is not None and self.budgets is not None:
            budgets.tell(self.budgets.at_start)
        return msgspec.structs.replace(
            parts,
            budgets=budgets,
            answers=self.cache.answers,
            router=self.router,
            allowances=self.limits.book,
            meter=self.energy.meter,
            share=self._config.routing.coalesce,
            prompt_help=self._config.cache.prompt_help,
        )

    def serve(
        self, gateway: Gateway, ledger: Ledger, next_id: Callable[[int], str], specs: SpecsOf, port: int
    ) -> None:
        """The port is open. From now on the router follows the gateway's catalog and prices. Blocks: reads
        what is believed of deployments; before the first call."""
        self.outcomes = OutcomeBook(
            self._home,
            self.router,
            self._clock,
            ledger.append,
            next_id,
            lambda: ledger.health().entries,
        )
        self.outcomes.load()
        self.cache.use_port(port)
        gateway.changed = lambda: self._plan(gateway, specs())
        gateway.changed()

    def use(self, config: Config, gateway: Gateway) -> None:
        """Another configuration is in force: calls are chosen by it. The other rooms stay as they are."""
        self._config = config
        gateway.changed()

    async def keep(self) -> None:
        """What goes on beside the calls, until cancelled."""
        work: list[Awaitable[None]] = [self.limits.keep(), self.energy.keep()]
        if self.budgets is not None:
            work.append(self.budgets.keep(self._clock, lambda text: self._say("budget", text)))
        if self.outcomes is not None and self._chooses():
            work.append(self.outcomes.load_learner())
        await asyncio.gather(*work)

    def _chooses(self) -> bool:
        """Whether the configuration says anything of how calls are chosen."""
        named = any(True for _ in self._config.tiers.named())
        return named or any(rule.route == "auto" for rule in self.router.rules.aliases.values())

    def _plan(self, gateway: Gateway, specs: Sequence[ServerSpec]) -> None:
        config, catalog = self._config, gateway.catalog
        places = places_of(config, catalog, specs, gateway.prices, self._clock.now_ms())
        self.router.use(routing_rules(config, places), places, catalog.aliases)
