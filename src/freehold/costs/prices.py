"""Money arithmetic: usage x rates -> integer nano-USD. Pure; nothing here knows where rates come from.

Units. A rate is an integer number of nano-USD (1 USD = 10**9) per 1,000,000 units (tokens, searches, calls),
so 3 USD per million tokens is the rate 3_000_000_000 and every list price with up to nine decimals is exact.
A call's cost is summed exactly and rounded once, at the end, half up to a whole nano-USD.

Tiers are the cliff kind that OpenAI, Anthropic and Google publish: once the call's whole input (cached
tokens included) is above a threshold, all of its tokens have that tier's rates.

What a table leaves out. A bucket without its own rate never costs nothing in silence:

    bucket           priced as                      state
    image_in         text input                     computed (vendors count images in text tokens)
    reasoning        output                         computed (every vendor bills thinking as output)
    cache_write_1h   2 x input, when the 5-minute   computed
                     write is 1.25 x input
    cache_write_1h   the 5-minute write otherwise   estimated
    cache_read,      text input (never below the    estimated
    cache_write_5m,  bill: caching only lowers
    audio_in         reads; audio is an estimate)
    audio_out,       output                         estimated
    image_out
    web_searches     nothing                        estimated
    a bucket with neither                           unknown, 0

The 1.25 and 2 are Anthropic's published multipliers of the base input price for 5-minute and one-hour cache
writes (platform.claude.com, "Prompt caching", pricing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from freehold.core.usage import Usage

CostState = Literal["billed", "computed", "estimated", "unknown", "free"]
"""As in a receipt: the provider's own figure, usage x price, a guess, no price known, our own hardware."""

PER = 1_000_000
"""Units that one rate stands for."""


class Cost(msgspec.Struct, frozen=True, gc=False):
    """`nanos` nano-USD; `snapshot` is the SHA-256 (hex) of the price document used, "" when none was."""

    nanos: int
    state: CostState
    snapshot: str = ""


class ListedPrices(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Prices as a table lists them, each a rate; None where the table is silent. Fields in order."""

    audio_in: int | None = None
    audio_out: int | None = None
    cache_read: int | None = None
    cache_write_1h: int | None = None
    cache_write_5m: int | None = None
    image_in: int | None = None
    image_out: int | None = None
    input: int | None = None
    output: int | None = None
    per_call: int | None = None
    reasoning: int | None = None
    web_search: int | None = None


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """One rate per bucket, every gap filled by the rules above.

    `guessed` names the buckets whose rate is an estimate, `unpriced` those for which there is none at all.
    `tiers` holds (threshold, rates) with rising thresholds: the last one below the call's whole input
    applies.
    """

    audio_in: int
    audio_out: int
    cache_read: int
    cache_write_1h: int
    cache_write_5m: int
    fresh_in: int
    image_in: int
    image_out: int
    per_call: int
    reasoning: int
    visible_out: int
    web_searches: int
    guessed: tuple[str, ...] = ()
    unpriced: tuple[str, ...] = ()
    tiers: tuple[tuple[int, Rates], ...] = ()


def cost_of(rates: Rates, usage: Usage) -> tuple[int, CostState]:
    """The cost of one call in nano-USD, and whether it is computed, estimated, or unknown (then 0)."""
    total_in = usage.input_total
    for threshold, above in reversed(rates.tiers):
        if total_in > threshold:
            rates = above
            break
    for bucket in rates.unpriced:
        if getattr(usage, bucket):
            return 0, "unknown"
    # Plain text first: it is all that most calls have.
    sum_ = usage.fresh_in * rates.fresh_in + usage.visible_out * rates.visible_out + rates.per_call
    sum_ += usage.cache_read * rates.cache_read + usage.reasoning * rates.reasoning
    sum_ += usage.cache_write_5m * rates.cache_write_5m + usage.cache_write_1h * rates.cache_write_1h
    sum_ += usage.audio_in * rates.audio_in + usage.audio_out * rates.audio_out
    sum_ += usage.image_in * rates.image_in + usage.image_out * rates.image_out
    sum_ += usage.web_searches * rates.web_searches
    nanos = (sum_ + PER // 2) // PER
    for bucket in rates.guessed:
        if getattr(usage, bucket):
            return nanos, "estimated"
    return nanos, "computed"


def rates_from(base: ListedPrices, tiers: Mapping[int, ListedPrices] | None = None) -> Rates | None:
    """Complete rates from listed prices, or None when they price neither tokens nor calls.

    `tiers` maps a threshold (tokens of input) to the prices that differ above it.
    """
    if base.input is None and base.output is None and base.per_call is None and base.audio_in is None:
        return None
    steps: list[tuple[int, Rates]] = []
    listed = base
    for threshold in sorted(tiers or {}):
        listed = overlaid(listed, (tiers or {})[threshold])
        steps.append((threshold, _filled(listed, ())))
    return _filled(base, tuple(steps))


def with_surcharge(rates: Rates, tenths: int) -> Rates:
    """Every price of tokens at so many tenths; fees for searches and calls stay."""
    tokens = [name for name in Usage.__struct_fields__ if name != "web_searches"]
    return msgspec.structs.replace(
        rates,
        **{name: getattr(rates, name) * tenths // 10 for name in tokens},
        tiers=tuple((above, with_surcharge(each, tenths)) for above, each in rates.tiers),
    )


def overlaid(base: ListedPrices, above: ListedPrices) -> ListedPrices:
    """`base` with every price that `above` lists in its place."""
    changes = {name: value for name, value in msgspec.structs.asdict(above).items() if value is not None}
    return msgspec.structs.replace(base, **changes)


def _filled(listed: ListedPrices, tiers: tuple[tuple[int, Rates], ...]) -> Rates:
    guessed: list[str] = []
    unpriced: list[str] = []

    def first(bucket: str, own: int | None, fallback: int | None, *, usual: bool = False) -> int:
        """The bucket's own rate, else the fallback, noted as a guess unless vendors usually bill so."""
        if own is not None:
            return own
        if fallback is None:
            unpriced.append(bucket)
        elif not usual:
            guessed.append(bucket)
        return fallback or 0

    text_in, text_out, write_5m, write_1h = (
        listed.input,
        listed.output,
        listed.cache_write_5m,
        listed.cache_write_1h,
    )
    if write_1h is None and write_5m is not None and text_in is not None and write_5m * 4 == text_in * 5:
        write_1h = text_in * 2
    return Rates(
        audio_in=first("audio_in", listed.audio_in, text_in),
        audio_out=first("audio_out", listed.audio_out, text_out),
        cache_read=first("cache_read", listed.cache_read, text_in),
        cache_write_1h=first("cache_write_1h", write_1h, text_in if write_5m is None else write_5m),
        cache_write_5m=first("cache_write_5m", write_5m, text_in),
        fresh_in=first("fresh_in", text_in, None),
        image_in=first("image_in", listed.image_in, text_in, usual=True),
        image_out=first("image_out", listed.image_out, text_out),
        per_call=listed.per_call or 0,
        reasoning=first("reasoning", listed.reasoning, text_out, usual=True),
        visible_out=first("visible_out", text_out, None),
        web_searches=first("web_searches", listed.web_search, 0),
        guessed=tuple(guessed),
        unpriced=tuple(unpriced),
        tiers=tiers,
    )
