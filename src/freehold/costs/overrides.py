"""Prices that the configuration states itself: `prices: {PROVIDER/model: {input: 3, output: 15}}`.

Pure. Figures are USD per million tokens (`per_call`: USD per call) and become exact integers here. What an
override leaves out follows the rules of `prices`; it is not filled from the table, since a negotiated price
beside a list price would be neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import cast

import msgspec

from freehold.core.errors import ConfigError
from freehold.costs.prices import PER, ListedPrices

FIELDS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "per_call")
DECIMALS = 9
_LARGEST_USD = 10**9


class RateOverride(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nano-USD per million tokens (`per_call`: nano-USD per call); None where nothing was said."""

    cache_read: int | None = None
    cache_write_1h: int | None = None
    cache_write_5m: int | None = None
    input: int | None = None
    output: int | None = None
    per_call: int | None = None

    def listed(self) -> ListedPrices:
        """As a row of a price table. With a price per call alone, tokens are part of it and cost nothing."""
        flat = 0 if self.per_call is not None and self.input is None and self.output is None else None
        return ListedPrices(
            cache_read=self.cache_read,
            cache_write_1h=self.cache_write_1h,
            cache_write_5m=self.cache_write_5m,
            input=flat if self.input is None else self.input,
            output=flat if self.output is None else self.output,
            per_call=None if self.per_call is None else self.per_call * PER,
        )


def parse_overrides(raw: Mapping[str, object]) -> dict[str, RateOverride]:
    """The `prices` section of the configuration. Raises ConfigError with the dotted path of what is wrong."""
    return {name: _override(f"prices.{name}", name, value) for name, value in raw.items()}


def _override(key: str, name: str, raw: object) -> RateOverride:
    if "/" not in name.strip("/"):
        raise ConfigError("name the provider too: PROVIDER/model-id.", key=key)
    if not isinstance(raw, Mapping) or not raw:
        raise ConfigError(f"wants prices such as {{input: 3, output: 15}}, not {raw!r}.", key=key)
    prices: dict[str, int] = {}
    for field, value in cast("Mapping[str, object]", raw).items():
        if field not in FIELDS:
            near = get_close_matches(field, FIELDS, n=1)
            raise ConfigError(
                f"no such price; there are {', '.join(FIELDS)}.",
                key=f"{key}.{field}",
                nearest=near[0] if near else None,
            )
        prices[field] = _nanos(f"{key}.{field}", value)
    return RateOverride(**prices)


def _nanos(key: str, value: object) -> int:
    """USD as nano-USD. A float is taken as it is written (0.1 is 0.1), not as its binary value."""
    wrong = f"wants USD as a number from 0 with at most {DECIMALS} decimals, not {value!r}."
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ConfigError(wrong, key=key)
    try:
        usd = Decimal(str(value).strip())
    except InvalidOperation:
        raise ConfigError(wrong, key=key) from None
    # Bounds come before the multiplication, which rounds beyond 28 digits.
    if not usd.is_finite() or not 0 <= usd <= _LARGEST_USD or _decimals(usd) > DECIMALS:
        raise ConfigError(wrong, key=key)
    return int(usd.scaleb(DECIMALS))


def _decimals(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0
