"""Questions about money, answered from the receipts of a state folder and one configuration. Only reads.

The arithmetic is in `costs`; this brings it together with the receipts, the price tables on disk, and the
subscriptions that the configuration names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from datetime import date, tzinfo
from functools import cached_property
from pathlib import Path
from typing import cast

import msgspec

from freehold.adapters.providers import known
from freehold.adapters.providers.catalog import configured_providers
from freehold.app.energy import kept_energy
from freehold.app.price_table import overrides_of
from freehold.core.config import Config
from freehold.core.errors import FreeholdError
from freehold.core.usage import Usage
from freehold.costs import disputes as disputing
from freehold.costs.book import PriceBook
from freehold.costs.disputes import Charged, Dispute
from freehold.costs.flat import FlatCost, flat_cost
from freehold.costs.forecast import HISTORY_DAYS, Day, Forecast, Today, forecast
from freehold.costs.local import EnergySums
from freehold.costs.outcomes import Judged, OutcomeCost, per_outcome
from freehold.costs.savings import Savings, Spent, savings
from freehold.costs.snapshot import TABLES, ensure_snapshot
from freehold.costs.terms import terms_in
from freehold.costs.windows import DAY_MS, HOUR_MS, Span, Unit, day_of, day_span, label, span_at
from freehold.receipts.entries import CostState
from freehold.receipts.outcomes import outcomes
from freehold.receipts.query import CostRow
from freehold.receipts.sums import Between, By, CallRow, Dimension, SumRow, calls, earliest_ms, sums
from freehold.routing.shadow import AGENT as SHADOW_AGENT

_UNITS: Mapping[str, Unit] = {"hour": "hour", "day": "day", "week": "week", "month": "month"}
_OF_HOUSE = frozenset((SHADOW_AGENT, "freehold-cache"))
"""Agents under which the house calls itself."""
_PRICED = ("computed", "estimated")

Where = Mapping[Dimension, str]


class MonthForecast(msgspec.Struct, frozen=True, kw_only=True):
    """What the month will have cost: calls that are paid one by one, and what is paid by the month."""

    month: str
    calls: Forecast
    flat: tuple[FlatCost, ...]

    @property
    def flat_nanos(self) -> int:
        return sum(each.month_nanos for each in self.flat)


class Spending:
    """`zone` decides when days, weeks and months begin; `db` is a projection of receipts."""

    def __init__(self, home: Path, config: Config, db: sqlite3.Connection, now_ms: int, zone: tzinfo) -> None:
        self.home = home
        self.config = config
        self.db = db
        self._now_ms = now_ms
        self._zone = zone
        self._price_as = {vendor.name: vendor.price_as for vendor in known.VENDORS}
        self._price_as |= {provider.name: provider.price_as for provider in configured_providers(config)}

    # -- sums

    def rows(self, by: By, between: Between, where: Where) -> list[CostRow]:
        """Sums by one dimension: those of time in its order, others the dearest first."""
        asked = () if by == "all" else (cast("Dimension", "hour" if by in _UNITS else by),)
        found: dict[str, CostRow] = {}
        for row in sums(self.db, asked, between, where):
            name = str(row.by[0]) if row.by else ""
            if by in _UNITS:
                name = self._label(_UNITS[by], int(name) * HOUR_MS)
            _add(found.setdefault(name, CostRow(name)), row)
        if by in _UNITS:
            return sorted(found.values(), key=lambda row: row.name)
        return sorted(found.values(), key=lambda row: (-row.total_nanos, -row.calls, row.name))

    def idle(self, between: Between) -> EnergySums:
        """What our own machine cost while no call ran, on the days (UTC) that begin between."""
        whole = EnergySums()
        for day, part in kept_energy(self.home).items():
            if between.since_ms <= day_span(date.fromisoformat(day)).start_ms < between.until_ms:
                whole.idle_nanos += part.idle_nanos
                whole.idle_ms += part.idle_ms
                whole.idle_uj += part.idle_uj
        return whole

    def earliest_ms(self) -> int | None:
        """When the first call was made."""
        return earliest_ms(self.db)

    # -- flat costs

    def flat(self, month: Span) -> tuple[FlatCost, ...]:
        """What is paid by the month, in that month."""
        between = Between(month.start_ms, min(month.end_ms, self._now_ms + 1))
        found: list[FlatCost] = []
        for each in self.config.subscriptions:
            name: Where = {"provider": each.provider} if each.provider else {"server": each.server or ""}
            used = sums(self.db, ("hour",), between, name) if between.until_ms > between.since_ms else []
            hours = len({row.by for row in used})
            at_list = sum(row.cost_nanos for row in used)
            found.append(flat_cost(each, month, self._now_ms, hours, at_list))
        return tuple(found)

    def flat_at(self, at_ms: int) -> tuple[FlatCost, ...]:
        """That of the month in which `at_ms` is."""
        return self.flat(span_at("month", at_ms, self._zone))

    @cached_property
    def covered(self) -> frozenset[str]:
        """Providers whose calls a subscription pays for."""
        return frozenset(each.provider for each in self.config.subscriptions if each.provider)

    # -- forecast

    def month_forecast(self, where: Where) -> MonthForecast:
        """The month that it is now. Calls of subscriptions are paid for already, so they are not in it."""
        month = span_at("month", self._now_ms, self._zone)
        today = day_of(self._now_ms, self._zone)
        last = day_of(month.end_ms - 1, self._zone)
        costs = self._by_day(where)
        span = day_span(today, self._zone)
        now = Today(day=today, nanos=costs.get(today, 0), share=span.share(self._now_ms))
        before = [
            Day(date.fromordinal(day), costs.get(date.fromordinal(day), 0))
            for day in range(min(costs, default=today).toordinal(), today.toordinal())
        ]
        name = label("month", self._now_ms, self._zone)
        return MonthForecast(month=name, calls=forecast(before, now, last), flat=self.flat(month))

    def _by_day(self, where: Where) -> dict[date, int]:
        since_ms = span_at("day", self._now_ms - max(HISTORY_DAYS, 31) * DAY_MS, self._zone).start_ms
        costs: dict[date, int] = {}
        for row in sums(self.db, ("hour", "provider"), Between(since_ms, self._now_ms + 1), where):
            if row.by[1] not in self.covered:
                day = day_of(int(row.by[0]) * HOUR_MS + HOUR_MS // 2, self._zone)
                costs[day] = costs.get(day, 0) + row.cost_nanos
        return costs

    # -- savings and disputes

    def savings(self, between: Between, where: Where, baseline: str | None) -> Savings:
        """Against `baseline`, or the configuration's. Raises FreeholdError when none has a price."""
        name = self._full_name(baseline or self.config.routing.baseline or self._dearest())
        price = self._price_of(name)
        if price(Usage(fresh_in=1000, visible_out=1000), self._now_ms) is None:
            raise FreeholdError(
                f"no price is known for {name!r}: name another baseline, or set one in `prices`"
            )
        return savings(map(_spent, calls(self.db, between, where)), name, price)

    def _full_name(self, name: str) -> str:
        """With the provider: what is not paid for is no baseline. Raises FreeholdError."""
        if "/" in name:
            return name
        offered = [who for who, each in self.config.providers.items() if name in each.models]
        if len(offered) == 1:
            return f"{offered[0]}/{name}"
        raise FreeholdError(f"{name!r} is no baseline: name its provider, as in anthropic/claude-opus-4-5")

    def per_outcome(self, by: By, between: Between, where: Where) -> tuple[OutcomeCost, ...]:
        """What a good answer cost, by one dimension. Answers that nobody has judged are only counted."""
        said = {each.of: each.score_ppm for each in outcomes(self.home)}
        judged = (
            Judged(name=self._name(by, call), cost_nanos=call.cost_nanos, score_ppm=said.get(call.id))
            for call in calls(self.db, between, where)
        )
        return per_outcome(judged)

    def _label(self, unit: Unit, at_ms: int) -> str:
        """Sums are of whole hours (UTC). In zones of half hours a day begins within one, which counts for the
        day that begins."""
        hour_ms = at_ms - at_ms % HOUR_MS
        return label(unit, hour_ms if unit == "hour" else hour_ms + HOUR_MS // 2, self._zone)

    def _name(self, by: By, call: CallRow) -> str:
        if by in _UNITS:
            return self._label(_UNITS[by], call.started_ms)
        return "" if by == "all" else str(getattr(call, "via_key" if by == "key" else by))

    def _price_of(self, name: str) -> Callable[[Usage, int], int | None]:
        provider, slash, model = name.partition("/")
        price_as = self._price_as.get(provider) if slash else None

        def price(usage: Usage, at_ms: int) -> int | None:
            cost = self.book.price(price_as, provider if slash else None, model or name, usage, at_ms)
            return None if cost.state == "unknown" else cost.nanos

        return price

    def _dearest(self) -> str:
        """Of the premium tier, else of all models that the configuration's providers list."""
        names = self.config.tiers.premium or [
            f"{name}/{model}"
            for name, provider in self.config.providers.items()
            if provider.models != "*"
            for model in provider.models
        ]
        million = Usage(fresh_in=1_000_000, visible_out=1_000_000)
        priced = [(self._price_of(name)(million, self._now_ms) or 0, name) for name in names]
        if not any(nanos for nanos, _ in priced):
            raise FreeholdError(
                "there is nothing to compare with: name a model with --baseline, or set routing.baseline"
            )
        return max(priced)[1]

    def disputes(self, between: Between, where: Where) -> tuple[Dispute, ...]:
        """Models whose receipts and price tables do not agree."""
        sources: dict[str, disputing.Price] = {"the table now": self._source(self.book)}
        if self.config.prices:
            sources["list price"] = self._source(self.list_book)
        for path in sorted((self.home / "prices").glob(TABLES)):
            if path != self._table_path:
                sources[path.stem] = self._source(PriceBook.load(path))
        priced = (
            Charged(
                at_ms=call.started_ms,
                provider=call.provider,
                model=_model_id(call),
                cost_nanos=call.cost_nanos - call.other_nanos,
                usage=call.usage,
                terms=terms_in(call.price_terms),
            )
            for call in calls(self.db, between, where)
            if call.cost_state in _PRICED and call.provider
        )
        return disputing.disputes(priced, sources)

    def _source(self, book: PriceBook) -> disputing.Price:
        def price(call: Charged) -> int | None:
            provider, terms = call.provider, book.under(**call.terms) if call.terms else book
            cost = terms.price(self._price_as.get(provider), provider, call.model, call.usage, call.at_ms)
            return cost.nanos if cost.state in _PRICED else None

        return price

    # -- price tables

    @cached_property
    def _table_path(self) -> Path:
        return ensure_snapshot(self.home / "prices")

    @cached_property
    def book(self) -> PriceBook:
        """The prices in force."""
        return PriceBook.load(self._table_path, overrides_of(self.config.prices))

    @cached_property
    def list_book(self) -> PriceBook:
        """The prices that providers publish."""
        return PriceBook.load(self._table_path)

    def list_nanos(self, call: Charged) -> int | None:
        """At the published price; None where the configuration has no other, or none is published."""
        if f"{call.provider}/{call.model}" not in self.config.prices:
            return None
        return self._source(self.list_book)(call)


def _model_id(call: CallRow) -> str:
    """The model as the price table knows it: as it was asked for. What answered may call itself otherwise."""
    return call.deployment.removeprefix(f"{call.provider}/") or call.model


def _spent(call: CallRow) -> Spent:
    return Spent(
        at_ms=call.started_ms,
        provider=call.provider,
        deployment=call.deployment,
        cost_nanos=call.cost_nanos,
        cost_state=call.cost_state,
        usage=call.usage,
        of_house=call.agent in _OF_HOUSE,
    )


def _add(row: CostRow, part: SumRow) -> None:
    usage, state = part.usage, cast("CostState", part.cost_state)
    row.calls += part.calls
    row.errors += part.errors
    row.refused += part.refused
    row.cancelled += part.cancelled
    row.fresh_in += usage.fresh_in + usage.audio_in + usage.image_in
    row.cache_read += usage.cache_read
    row.cache_write += usage.cache_write_5m + usage.cache_write_1h
    row.visible_out += usage.visible_out + usage.audio_out + usage.image_out
    row.reasoning += usage.reasoning
    row.cost_nanos[state] = row.cost_nanos.get(state, 0) + part.cost_nanos
