"""The rooms that a house may have or do without: budgets, kept answers, the router, limits, energy.

Made from the configuration, put into the gateway's `Parts`, kept going beside the calls, and made anew where
another configuration says so. What is not configured is not imported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import msgspec

from freehold.app.beside import Beside
from freehold.app.limits import HouseLimits
from freehold.app.outcomes import OutcomeBook
from freehold.app.own_port import own_host
from freehold.app.price_table import HousePrices
from freehold.app.routing import hedge_rules, places_of, routing_rules, shadow_rules
from freehold.app.spooled import keep_taking
from freehold.app.telemetry_rest import is_left
from freehold.core.clock import Clock
from freehold.core.config import Config
from freehold.core.config_cache import CacheConfig
from freehold.core.config_telemetry import TelemetryConfig
from freehold.core.errors import ConfigError
from freehold.core.servers import ServerSpec
from freehold.gateway.gateway import Gateway
from freehold.gateway.parts import Parts
from freehold.receipts.entries import Receipt
from freehold.receipts.ledger import Ledger, LedgerError
from freehold.routing.router import Router
from freehold.routing.world import Place

if TYPE_CHECKING:
    from freehold.app.budgets import HouseBudgets
    from freehold.app.cache import HouseCache
    from freehold.app.energy import HouseEnergy
    from freehold.app.shadow import HouseShadow
    from freehold.app.telemetry import HouseTelemetry
    from freehold.app.telemetry_out import SpanExport
    from freehold.app.tool_receipts import ToolBook
    from freehold.app.validators import Validators

Say = Callable[[str, str], None]
"""A stage and a text, for people; a warning."""
SpecsOf = Callable[[], Sequence[ServerSpec]]


class OptionalRooms:
    """An async context, entered before the gateway is made; then `parts`, `serve`, and `keep` beside."""

    def __init__(self, config: Config, home: Path, base: Path, clock: Clock, say: Say) -> None:
        """`base`: what relative folders in the configuration are relative to."""
        self._config = config
        self._home = home
        self._base = base
        self._clock = clock
        self._say = say
        self._beside = Beside(lambda text: say("config", text))
        self._stack = contextlib.AsyncExitStack()
        self._port = 0
        self.prices = HousePrices(home / "prices", lambda text: say("config", text), config.prices)
        self.limits = HouseLimits(home, config.limits.human_reserve, clock)
        self.router = Router()
        self.budgets: HouseBudgets | None = None
        """None here and below: nothing is configured."""
        self.cache: HouseCache | None = None
        self.energy: HouseEnergy | None = None
        self.telemetry: HouseTelemetry | None = None
        """None until somebody sends some."""
        self.tools: ToolBook | None = None
        self.export: SpanExport | None = None
        self.shadow: HouseShadow | None = None
        self._checks: Validators | None = None
        self.outcomes: OutcomeBook | None = None
        """There once `serve` has been called."""

    async def __aenter__(self) -> OptionalRooms:
        """Reads what earlier calls have spent. Raises PostingsError, LedgerError, ConfigError."""
        self.cache = await self._open_cache(self._config.cache)
        self._open_budgets(self._config)
        self._open_energy(self._config)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.telemetry is not None:
            with contextlib.suppress(LedgerError):  # told already; it rests on the disk for the next start
                await self.telemetry.settle()
            self.telemetry.close()
        if self.outcomes is not None:
            with contextlib.suppress(OSError):
                await self.outcomes.save()
        await self._stack.aclose()

    @property
    def own_keys(self) -> Mapping[str, str]:
        """SHA-256 (hex) and name of keys under which the house calls itself; for `Access.keys`, where keys
        are needed at all."""
        shadow: Mapping[str, str] = {} if self.shadow is None else self.shadow.accepted
        return shadow if self.cache is None else {**shadow, **self.cache.accepted}

    # -- into the gateway

    def parts(self, parts: Parts) -> Parts:
        """The same with these rooms in it."""
        self._parts = parts
        config, cache, energy = self._config, self.cache, self.energy
        return msgspec.structs.replace(
            parts,
            budgets=self.budgets,
            answers=None if cache is None else cache.answers,
            router=self.router,
            allowances=self.limits.book,
            meter=None if energy is None else energy.meter,
            validators=self._validators(),
            shadow=self.shadow if config.routing.shadow.share else None,
            share=config.routing.coalesce,
            hedge=hedge_rules(config),
            prompt_help=config.cache.prompt_help,
        )

    def serve(
        self, gateway: Gateway, ledger: Ledger, next_id: Callable[[int], str], specs: SpecsOf, port: int
    ) -> None:
        """The port is open. From now on the router follows the gateway's catalog and prices. Blocks: reads
        what is believed of deployments; before the first call."""
        self._port = port
        self._gateway, self._ledger, self._next_id = gateway, ledger, next_id
        self.outcomes = OutcomeBook(
            self._home,
            self.router,
            self._clock,
            ledger.append,
            next_id,
            lambda: ledger.health().entries,
        )
        self.outcomes.load()
        self._beside.begin("outcomes", self.outcomes.keep)
        if self.cache is not None:
            self.cache.use_port(port, own_host(self._config.listen))
        self._beside.begin("prices", lambda: self.prices.fetch(gateway.use_prices))
        self._beside.begin("limits", self.limits.keep)
        self._beside.begin("tool uses that hooks kept", self._take_spool)
        if is_left(self._home):
            self.listen()
        self._use_export(self._config.telemetry)
        gateway.changed = lambda: self._plan(gateway, specs())
        gateway.changed()

    async def keep(self) -> None:
        """What goes on beside the calls, until cancelled."""
        await self._beside.run()

    # -- another configuration

    def use(self, config: Config, gateway: Gateway) -> None:
        """It is in force: calls are chosen by it. Sections with rooms follow by `use_section`."""
        self._config = config
        gateway.changed()

    async def use_section(self, key: str, config: Config, gateway: Gateway) -> None:
        """Let one section of a configuration be in force, dropping no call. Raises FreeholdError, OSError:
        then what was before is."""
        match key:
            case "prices":
                await self.prices.use(config.prices, gateway.use_prices)
            case "limits":
                self.limits.book.use(config.limits.human_reserve)
            case "budgets":
                gateway.write_down()  # new budgets read what was spent
                self._use_budgets(config)
            case "cache":
                await self._use_cache(config.cache, gateway)
            case "energy":
                await self._use_energy(config)
            case "telemetry":
                if self.telemetry is not None:
                    self.telemetry.use(config.telemetry)
                self._use_export(config.telemetry)
            case _:  # read where it is needed
                pass
        gateway.use_parts(self.parts(self._parts))

    # -- one room each

    def _open_budgets(self, config: Config) -> None:
        if not config.budgets:
            return
        from freehold.app.budgets import HouseBudgets  # noqa: PLC0415 - see the module

        budgets = HouseBudgets.open(
            self._home, config.budgets, self._clock.now_ms(), lambda text: self._say("budget", text)
        )
        self._stack.callback(budgets.close)
        self.budgets = budgets
        self._beside.begin("budgets", lambda: budgets.keep(self._clock))

    def _use_budgets(self, config: Config) -> None:
        """Where there were some, their book stays, also without any: calls under way are posted there."""
        if self.budgets is None:
            self._open_budgets(config)
        else:
            self.budgets.use(config.budgets, self._clock.now_ms())

    async def _open_cache(self, config: CacheConfig) -> HouseCache | None:
        if not config.answers:
            return None
        from freehold.app.cache import HouseCache  # noqa: PLC0415 - see the module

        cache = HouseCache(config, self._home, self._base, self._clock)
        await self._stack.enter_async_context(cache)
        if self._port:
            cache.use_port(self._port, own_host(self._config.listen))
        return cache

    async def _use_cache(self, config: CacheConfig, gateway: Gateway) -> None:
        """The one before ends first, because both may have the same folder; meanwhile calls go without."""
        before, self.cache = self.cache, None
        gateway.answers = None
        if before is not None:
            await before.retire()
        try:
            self.cache = await self._open_cache(config)
        except ConfigError:
            self.cache = None if before is None else await self._open_cache(before.config)
            gateway.use_parts(self.parts(self._parts))
            raise
        if self.cache is not None:
            await self.cache.at_hand()

    def _open_energy(self, config: Config) -> None:
        if not config.energy.stated:
            return
        from freehold.app.energy import HouseEnergy  # noqa: PLC0415 - see the module

        self.energy = HouseEnergy(config.energy, self._home, self._clock)
        self._beside.begin("energy", self.energy.keep)

    async def _use_energy(self, config: Config) -> None:
        if self.energy is not None and config.energy.stated:
            self.energy.use(config.energy)
            return
        await self._beside.end("energy")
        self.energy = None
        self._open_energy(config)

    def listen(self) -> HouseTelemetry:
        """Who takes in telemetry; made when the first comes."""
        if self.telemetry is None:
            from freehold.app.telemetry import HouseTelemetry  # noqa: PLC0415 - see the module

            gateway, prices = self._gateway, self.prices
            telemetry = self.telemetry = HouseTelemetry(
                self._config.telemetry,
                self._home,
                self._record_told,
                self._next_id,
                lambda: prices.book,
                self._clock,
            )
            telemetry.use_port(self._port, lambda: gateway.catalog.providers)
            self._beside.begin("telemetry", lambda: telemetry.keep(lambda text: self._say("telemetry", text)))
        return self.telemetry

    def _use_export(self, config: TelemetryConfig) -> None:
        """Where there was a collector once, the place in the log is forgotten when there is none."""
        if self.export is not None:
            self.export.use(config)
        elif config.export or (self._home / "telemetry" / "export.json").exists():
            from freehold.app.telemetry_out import SpanExport  # noqa: PLC0415 - see the module

            gateway, ledger = self._gateway, self._ledger
            export = self.export = SpanExport(
                config, self._home, lambda: ledger.health().entries, lambda: gateway.catalog.providers
            )
            self._beside.begin(
                "spans to the collector", lambda: export.keep(lambda text: self._say("telemetry", text))
            )

    def tool_book(self) -> ToolBook:
        """Who records uses of tools; made when the first is told."""
        if self.tools is None:
            from freehold.app.tool_receipts import ToolBook  # noqa: PLC0415 - see the module

            self.tools = ToolBook(self._home, self._ledger.append, self._next_id, self._clock)
        return self.tools

    async def _take_spool(self) -> None:
        await keep_taking(self._home, self.tool_book, lambda text: self._say("telemetry", text))

    def _record_told(self, receipt: Receipt) -> None:
        """What somebody else's call has cost counts in budgets, as it will at the next start."""
        self._ledger.append(receipt)
        if self.budgets is not None and receipt.kind == "call":
            self.budgets.spent(receipt)

    def _validators(self) -> Validators | None:
        """One for the house's life: how many run at once is counted there."""
        if self._config.routing.validators and self._checks is None:
            from freehold.app.validators import Validators  # noqa: PLC0415 - see the module

            self._checks = Validators(self._base)
        return self._checks if self._config.routing.validators else None

    # -- choosing

    def _chooses(self) -> bool:
        """Whether the configuration says anything of how calls are chosen."""
        named = any(True for _ in self._config.tiers.named())
        tasks = bool(self._config.routing.tasks)
        return named or tasks or any(rule.route == "auto" for rule in self.router.rules.aliases.values())

    def _plan(self, gateway: Gateway, specs: Sequence[ServerSpec]) -> None:
        config, catalog = self._config, gateway.catalog
        places = places_of(config, catalog, specs, gateway.prices, self._clock.now_ms())
        self.router.use(routing_rules(config, places), places, catalog.aliases)
        self._use_shadow(gateway, places)
        if self.outcomes is not None and self._chooses():
            self._beside.begin("reading prompts", self.outcomes.load_learner)
        if self.outcomes is not None and config.routing.agree:
            self._beside.begin("comparing answers", self.outcomes.load_jury)

    def _use_shadow(self, gateway: Gateway, places: Sequence[Place]) -> None:
        rules = shadow_rules(self._config, places)
        if self.shadow is None and rules.share and self.outcomes is not None:
            from freehold.app.shadow import shadow_of  # noqa: PLC0415 - see the module

            shadow: HouseShadow = shadow_of(
                rules, self.outcomes, gateway, self._clock, self._port, own_host(self._config.listen)
            )
            self.shadow = shadow
            self._beside.begin("shadow", shadow.keep)
        if self.shadow is not None:
            self.shadow.use(rules)
            gateway.use_parts(self.parts(self._parts))
