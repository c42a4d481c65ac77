"""The compiled price table: its shape on disk, and how a model's prices are found in it. Pure.

The shape is made by `compile_prices` from genai-prices and read by `book`. Prices are rates (see
`prices`); times are milliseconds since the Unix epoch or since midnight, UTC. Providers are kept as raw
JSON and decoded when somebody asks for one: the whole table is a few hundred kilobytes, a call needs one row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import msgspec

from freehold.core.errors import FreeholdError
from freehold.costs.prices import ListedPrices, Rates, overlaid, rates_from

FORMAT = 1
"""Raised whenever the meaning of the table changes, so that an older file is never read as a newer one."""

DAY_MS = 86_400_000


class PriceTableError(FreeholdError):
    """A price table could not be made or read; the text says which and what to do."""


class _Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    pass


class Clause(_Row, frozen=True):
    """Matches a lower-case name when any of its parts does; `every` needs all of its clauses."""

    contains: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    equals: tuple[str, ...] = ()
    every: tuple[Clause, ...] = ()
    regex: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    some: tuple[Clause, ...] = ()

    def matches(self, name: str) -> bool:
        """`name` must be in lower case already."""
        return (
            name in self.equals
            or (bool(self.starts) and name.startswith(self.starts))
            or (bool(self.ends) and name.endswith(self.ends))
            or any(part in name for part in self.contains)
            or any(re.search(pattern, name) is not None for pattern in self.regex)
            or any(clause.matches(name) for clause in self.some)
            or (bool(self.every) and all(clause.matches(name) for clause in self.every))
        )


class Terms(_Row, frozen=True):
    """Prices that hold from `from_ms` on, or each day from `day[0]` up to `day[1]` (over midnight when
    that is smaller), and only for calls made under `when` (such as service_tier=priority)."""

    base: ListedPrices = ListedPrices()
    day: tuple[int, int] | None = None
    from_ms: int | None = None
    tiers: dict[str, ListedPrices] = {}
    """Threshold (decimal, tokens of input) -> what differs above it."""
    when: dict[str, str] = {}

    def active(self, at_ms: int) -> bool:
        if self.from_ms is not None:
            return at_ms >= self.from_ms
        if self.day is not None:
            start, end = self.day
            of_day = at_ms % DAY_MS
            return start <= of_day < end if start <= end else of_day >= start or of_day < end
        return True


class Model(_Row, frozen=True):
    """`prices` in the table's order: the last active one holds, the first when none is.
    `variants` are laid over it for calls made under their `when`; the first that names a price wins."""

    id: str
    match: Clause
    prices: tuple[Terms, ...]
    variants: tuple[Terms, ...] = ()


class Provider(_Row, frozen=True):
    """`fallbacks` are providers whose models this one resells at their standard price."""

    fallbacks: tuple[str, ...] = ()
    models: tuple[Model, ...] = ()


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The file. `addresses` are regular expressions for the start of an API's URL, `names` the clauses for
    what people call a provider; they stand apart so that one is found without decoding all."""

    addresses: dict[str, str] = {}
    format: int = FORMAT
    names: dict[str, Clause] = {}
    providers: dict[str, msgspec.Raw] = {}
    source: str = ""


class TimedRates(msgspec.Struct, frozen=True, gc=False):
    """Rates that hold for `from_ms <= time < until_ms`; None when the table has no usable price."""

    rates: Rates | None
    from_ms: int
    until_ms: int


_table = msgspec.json.Decoder(Table)
_provider = msgspec.json.Decoder(Provider)
_COMPACT_DATE = re.compile(r"(?<=-)(20\d\d)(\d\d)(\d\d)(?=-|:|$)")
_FOREVER = 1 << 62


def read_table(document: bytes) -> Table:
    """Raises PriceTableError when the bytes are not a table of this format."""
    try:
        table = _table.decode(document)
    except msgspec.MsgspecError as error:
        raise PriceTableError(
            f"The price table is damaged ({error}): delete it, it is made again."
        ) from error
    if table.format != FORMAT:
        raise PriceTableError(f"The price table has format {table.format}, wanted {FORMAT}: delete it.")
    return table


def provider_named(table: Table, name: str) -> str | None:
    """The table's id for a provider as people write it: the id itself, else the table's own aliases."""
    name = name.lower().strip()
    if name in table.providers:
        return name
    return next((known for known, clause in table.names.items() if clause.matches(name)), None)


def provider_at(table: Table, base_url: str) -> str | None:
    """The table's id for whoever answers at this address."""
    return next((known for known, pattern in table.addresses.items() if re.match(pattern, base_url)), None)


def find_model(table: Table, provider_id: str, model_id: str) -> Model | None:
    """The first row that matches, in the provider's own list and then in those it resells.

    Resellers write dates without dashes (`gpt-5.2-20251211`); such a name is tried again with them.
    """
    own = _provider.decode(table.providers[provider_id])
    for name in _spellings(model_id.lower()):
        if found := _matching(own, name):
            return found
        for other in own.fallbacks:
            if found := _matching(_provider.decode(table.providers[other]), name):
                return msgspec.structs.replace(found, variants=())
    return None


def _matching(provider: Provider, name: str) -> Model | None:
    return next((model for model in provider.models if model.match.matches(name)), None)


def _spellings(name: str) -> Iterator[str]:
    yield name
    dashed = _COMPACT_DATE.sub(_dashed, name)
    if dashed != name:
        yield dashed


def _dashed(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return found.group()


def rates_at(model: Model, at_ms: int, when: Mapping[str, str]) -> TimedRates:
    """The model's rates for a call at that time under those conditions, with how long they hold."""
    standard = next((each for each in reversed(model.prices) if each.active(at_ms)), model.prices[0])
    layers = [standard]
    for variant in reversed(model.variants):
        if variant.active(at_ms) and all(when.get(key) == value for key, value in variant.when.items()):
            layers.append(variant)
    base, tiers = ListedPrices(), dict[int, ListedPrices]()
    for layer in layers:
        base, tiers = _laid_over(base, tiers, layer)
    edges = sorted({0, _FOREVER, *_edges((*model.prices, *model.variants), at_ms)})
    return TimedRates(
        rates_from(base, tiers),
        max(edge for edge in edges if edge <= at_ms),
        min(edge for edge in edges if edge > at_ms),
    )


def _laid_over(
    base: ListedPrices, tiers: dict[int, ListedPrices], layer: Terms
) -> tuple[ListedPrices, dict[int, ListedPrices]]:
    """A price that the layer lists replaces the price below together with all of that price's tiers."""
    listed = {name for name, value in msgspec.structs.asdict(layer.base).items() if value is not None}
    kept = {
        threshold: msgspec.structs.replace(prices, **dict.fromkeys(listed))
        for threshold, prices in tiers.items()
    }
    for threshold, prices in layer.tiers.items():
        kept[int(threshold)] = overlaid(kept.get(int(threshold), ListedPrices()), prices)
    return overlaid(base, layer.base), kept


def _edges(terms: Iterable[Terms], at_ms: int) -> Iterator[int]:
    """Moments near `at_ms` at which prices may change."""
    midnight = at_ms - at_ms % DAY_MS
    for each in terms:
        if each.from_ms is not None:
            yield each.from_ms
        elif each.day is not None:
            yield from (midnight, midnight + each.day[0], midnight + each.day[1], midnight + DAY_MS)
