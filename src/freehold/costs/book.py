"""What a call costs: the one question that the data plane asks of this room.

A `PriceBook` holds one table and the configuration's overrides, both immutable, and remembers the rates
of what was asked before; a new table is a new book. It belongs to one thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import msgspec

from freehold.core.usage import Usage
from freehold.costs.overrides import RateOverride
from freehold.costs.prices import Cost, CostState, ListedPrices, Rates, cost_of, rates_from, with_surcharge
from freehold.costs.table import (
    PriceTableError,
    Table,
    TimedRates,
    find_model,
    provider_at,
    provider_named,
    rates_at,
    read_table,
)

LOCAL = "local"
"""Price id of our own hardware, and of model servers that were found on it."""

REMEMBERED = 4096
"""Rates kept; model names come from clients, so there is no natural end to them."""

TERMS = 64
"""Books kept for other terms; those come from providers' answers."""

_ALWAYS = (-(1 << 62), 1 << 62)
_FREE = rates_from(ListedPrices(input=0, output=0, web_search=0))


class _Known(msgspec.Struct, frozen=True, gc=False):
    """An answer that holds for a while: rates and where they stand, or a state that needs no rates."""

    timed: TimedRates
    state: CostState
    snapshot: str


class PriceBook:
    """Prices of one table under the configuration's overrides (by `PROVIDER/model-id`, exactly)."""

    def __init__(
        self, table: Table, snapshot: str, overrides: Mapping[str, RateOverride] | None = None
    ) -> None:
        self._table = table
        self._snapshot = snapshot
        self._overrides = dict(overrides or {})
        self._when: dict[str, str] = {}
        self._known: dict[tuple[str | None, str | None, str], _Known] = {}
        self._under: dict[tuple[tuple[str, str], ...], PriceBook] = {}
        self.overrides_document = msgspec.json.encode(self._overrides, order="sorted")
        """What `Cost.snapshot` is the SHA-256 of when an override gave the price; keep it as evidence."""
        self._overrides_hash = sha256(self.overrides_document).hexdigest()

    @classmethod
    def load(cls, path: Path, overrides: Mapping[str, RateOverride] | None = None) -> PriceBook:
        """Reads the file that `snapshot.ensure_snapshot` made (half a megabyte). Raises PriceTableError."""
        try:
            document = path.read_bytes()
        except OSError as error:
            raise PriceTableError(f"Cannot read the price table {path}: {error}.") from error
        return cls(read_table(document), sha256(document).hexdigest(), overrides)

    @classmethod
    def empty(cls, overrides: Mapping[str, RateOverride] | None = None) -> PriceBook:
        """A book without a table: what no override prices is unknown. For the time until a table is there."""
        return cls(Table(), "", overrides)

    def price(
        self,
        provider_price_id: str | None,
        provider_name: str | None,
        model_id: str,
        usage: Usage,
        at_ms: int,
        billed_nanos: int | None = None,
    ) -> Cost:
        """The cost of one call that started at `at_ms` (Unix milliseconds).

        In this order: the provider's own figure (`billed_nanos`) wins; a model server of ours
        (`provider_name` None, or price id `LOCAL`) is free; then the override for
        `provider_name/model_id`; then the table under `provider_price_id`; else the cost is unknown: 0
        nanos, never a guess (a provider that somebody named "openai" may be anything).
        """
        if billed_nanos is not None:
            return Cost(billed_nanos, "billed")
        key = (provider_price_id, provider_name, model_id)
        known = self._known.get(key)
        if known is None or not known.timed.from_ms <= at_ms < known.timed.until_ms:
            known = self._remember(key, at_ms)
        if known.timed.rates is None:
            return Cost(0, known.state)
        nanos, state = cost_of(known.timed.rates, usage)
        return Cost(nanos, state, known.snapshot if state != "unknown" else "")

    def rates(
        self, provider_price_id: str | None, provider_name: str | None, model_id: str, at_ms: int
    ) -> Rates | None:
        """What `price` would reckon with, to say beforehand what a call can cost: all zero for what is free,
        None for what has no known price."""
        key = (provider_price_id, provider_name, model_id)
        known = self._known.get(key)
        if known is None or not known.timed.from_ms <= at_ms < known.timed.until_ms:
            known = self._remember(key, at_ms)
        return _FREE if known.state == "free" else known.timed.rates

    def under(self, **when: str) -> PriceBook:
        """The same book for calls on other terms, such as `service_tier="priority"` or `speed="fast"`.

        Terms that a model has no prices for leave it at its standard prices.
        """
        merged = self._when | when
        key = tuple(sorted(merged.items()))
        if key not in self._under:
            if len(self._under) >= TERMS:
                self._under.clear()
            book = PriceBook(self._table, self._snapshot, self._overrides)
            book._when = merged
            self._under[key] = book
        return self._under[key]

    def price_id_of(self, base_url: str) -> str | None:
        """The price id of whoever answers at this address; None for an address the table does not know."""
        return provider_at(self._table, base_url)

    def _remember(self, key: tuple[str | None, str | None, str], at_ms: int) -> _Known:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        known = self._known[key] = self._look_up(*key, at_ms)
        return known

    def _look_up(self, price_id: str | None, name: str | None, model_id: str, at_ms: int) -> _Known:
        override = self._overrides.get(f"{name}/{model_id}")
        if override is not None:
            rates = rates_from(override.listed())
            return _Known(TimedRates(rates, *_ALWAYS), "unknown", self._overrides_hash)
        if price_id == LOCAL or name is None:
            return _Known(TimedRates(None, *_ALWAYS), "free", "")
        found = provider_named(self._table, price_id) if price_id else None
        model = find_model(self._table, found, model_id) if found else None
        if model is None:
            return _Known(TimedRates(None, *_ALWAYS), "unknown", "")
        timed = rates_at(model, at_ms, self._when)
        if found == "anthropic" and self._when.get("inference_geo") == "us" and timed.rates is not None:
            timed = TimedRates(with_surcharge(timed.rates, 11), timed.from_ms, timed.until_ms)
        return _Known(timed, "unknown", self._snapshot)
