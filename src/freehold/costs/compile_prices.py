"""Compiles the price data of the genai-prices package: `python -m freehold.costs.compile_prices OUT`.

Runs in a process of its own, because importing genai-prices costs 110 ms and 15 MB that no call needs.
Only prices for what a `Usage` counts are taken over (tokens by kind, web searches, calls); prices by page,
pixel, second or character are not, and models that have no other stay without a price.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from importlib.metadata import version
from pathlib import Path

import msgspec
from genai_prices import types as source
from genai_prices.data import providers

from freehold.costs.prices import ListedPrices
from freehold.costs.table import FORMAT, Clause, Model, Provider, Table, Terms

PRICE_KEYS = {
    "input_mtok": ("input", 1),
    "output_mtok": ("output", 1),
    "cache_read_mtok": ("cache_read", 1),
    "cache_write_mtok": ("cache_write_5m", 1),
    "cache_write_5m_mtok": ("cache_write_5m", 1),
    "cache_write_1h_mtok": ("cache_write_1h", 1),
    "input_audio_mtok": ("audio_in", 1),
    "output_audio_mtok": ("audio_out", 1),
    "input_image_mtok": ("image_in", 1),
    "output_image_mtok": ("image_out", 1),
    "output_reasoning_mtok": ("reasoning", 1),
    "web_searches_kcount": ("web_search", 1000),
    "requests_kcount": ("per_call", 1000),
}
"""Key in genai-prices -> field of ListedPrices, and how many of its units make a million."""


def main(out: Path) -> None:
    """Writes the table to `out`, whole or not at all as the caller renames it."""
    out.write_bytes(table_document())


def table_document() -> bytes:
    """The table as canonical JSON: keys sorted, no white space, integers only."""
    table = Table(
        addresses={each.id: each.api_pattern for each in providers},
        format=FORMAT,
        names={each.id: clause(each.provider_match) for each in providers if each.provider_match},
        providers={each.id: msgspec.Raw(msgspec.json.encode(provider(each))) for each in providers},
        source=f"genai-prices {version('genai-prices')}",
    )
    return msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(table)), order="sorted")


def provider(each: source.Provider) -> Provider:
    return Provider(
        fallbacks=tuple(each.fallback_model_providers or ()),
        models=tuple(model(row) for row in each.models),
    )


def model(row: source.ModelInfo) -> Model:
    if isinstance(row.prices, source.ModelPrice):
        prices: tuple[Terms, ...] = (terms(row.prices, None, {}),)
    else:
        prices = tuple(terms(each.prices, each.constraint, {}) for each in row.prices)
    variants = tuple(terms(each.prices, each.constraint, each.when) for each in row.price_variants or ())
    return Model(id=row.id, match=clause(row.match), prices=prices, variants=variants)


def terms(
    price: source.ModelPrice,
    constraint: source.StartDateConstraint | source.TimeOfDateConstraint | None,
    when: dict[str, str],
) -> Terms:
    base: dict[str, int] = {}
    tiers: dict[str, dict[str, int]] = {}
    for key, (field, per_million) in PRICE_KEYS.items():
        value: object = getattr(price, key, None)
        if isinstance(value, source.TieredPrices):
            base[field] = rate(value.base, per_million)
            for tier in value.tiers:
                tiers.setdefault(str(tier.start), {})[field] = rate(tier.price, per_million)
        elif isinstance(value, Decimal):
            base[field] = rate(value, per_million)
    day = from_ms = None
    if isinstance(constraint, source.StartDateConstraint):
        start = constraint.start_date
        from_ms = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1000
    elif constraint is not None:
        day = (ms_of_day(constraint.start_time), ms_of_day(constraint.end_time))
    return Terms(
        base=ListedPrices(**base),
        day=day,
        from_ms=from_ms,
        tiers={threshold: ListedPrices(**fields) for threshold, fields in tiers.items()},
        when=when,
    )


def rate(usd: Decimal, per_million: int) -> int:
    """USD for a million units (or for a thousand, with `per_million` 1000) as nano-USD for a million.

    Exact for nine decimals; longer ones are binary noise of other tables (0.08333333333333334) and round.
    """
    return int((usd * per_million * 10**9).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def ms_of_day(value: time) -> int:
    """Milliseconds since midnight UTC; a time without a zone is UTC."""
    moment = datetime.combine(
        datetime(2000, 1, 2).date(), value if value.tzinfo else value.replace(tzinfo=UTC)
    )
    utc = moment.astimezone(UTC)
    return (utc.hour * 3600 + utc.minute * 60 + utc.second) * 1000


def clause(logic: object) -> Clause:
    """Names are compared in lower case, except by regular expressions, which stay as they are."""
    match logic:
        case source.ClauseEquals(equals=text):
            return Clause(equals=(text.lower(),))
        case source.ClauseStartsWith(starts_with=text):
            return Clause(starts=(text.lower(),))
        case source.ClauseEndsWith(ends_with=text):
            return Clause(ends=(text.lower(),))
        case source.ClauseContains(contains=text):
            return Clause(contains=(text.lower(),))
        case source.ClauseRegex(regex=text):
            return Clause(regex=(text,))
        case source.ClauseOr(or_=parts):
            return merged([clause(part) for part in parts])
        case source.ClauseAnd(and_=parts):
            return Clause(every=tuple(clause(part) for part in parts))
        case _:
            raise TypeError(f"genai-prices has a new kind of match clause: {logic!r}")


def merged(clauses: list[Clause]) -> Clause:
    """One clause that matches what any of `clauses` does."""
    return Clause(
        contains=tuple(text for each in clauses for text in each.contains),
        ends=tuple(text for each in clauses for text in each.ends),
        equals=tuple(text for each in clauses for text in each.equals),
        regex=tuple(text for each in clauses for text in each.regex),
        some=tuple(each for each in clauses if each.every) + tuple(c for each in clauses for c in each.some),
        starts=tuple(text for each in clauses for text in each.starts),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
