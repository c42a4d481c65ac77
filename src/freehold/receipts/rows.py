"""How one entry becomes one row of the table `calls`: the single place that maps fields to columns. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from freehold.receipts.entries import Attempt, Receipt, decode_receipt

INTEGER_CAP = 1 << 50
"""Larger integers are capped in the projection, so that sums of thousands of lies still fit 64 bits."""

# Column -> attribute of Receipt, texts first, integers last, in the order of schema.sql (after `seq`).
TEXT_COLUMNS = (
    "id", "kind", "project", "agent", "session", "task", "via_key", "endpoint", "client_dialect",
    "model_asked", "model", "deployment", "provider", "server", "outcome", "error", "usage_state",
    "cost_state", "price_terms", "cached",
)  # fmt: skip
_BUCKETS = (
    "fresh_in", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in",
    "visible_out", "reasoning", "audio_out", "image_out", "web_searches",
)  # fmt: skip
_BEFORE_ATTEMPTS = ("started_ms", "first_byte_us", "total_us", "status", "stream")
_AFTER_ATTEMPTS = ("request_bytes", "response_bytes", "cost_nanos", "saved_nanos")

COLUMNS = ("seq", *TEXT_COLUMNS, *_BEFORE_ATTEMPTS, "attempts", *_AFTER_ATTEMPTS, *_BUCKETS)
_FIRST_INTEGER = COLUMNS.index("started_ms")
ATTEMPT_COLUMNS = ("seq", "number", "model", "deployment", "provider", "cost_nanos", *_BUCKETS)

Cell = str | int
_head: Callable[[Receipt], tuple[Cell, ...]] = attrgetter(*TEXT_COLUMNS, *_BEFORE_ATTEMPTS)
_tail: Callable[[Receipt], tuple[Cell, ...]] = attrgetter(
    *_AFTER_ATTEMPTS, *(f"usage.{name}" for name in _BUCKETS)
)


_NOTHING = Attempt(deployment="").usage
_counts: Callable[[Attempt], tuple[int, ...]] = attrgetter(
    "cost_nanos", *(f"usage.{name}" for name in _BUCKETS)
)


class Rows(NamedTuple):
    """What an entry becomes: the values of `COLUMNS`, and rows with those of `ATTEMPT_COLUMNS`."""

    call: tuple[Cell, ...]
    attempts: list[tuple[Cell, ...]]
    readable: bool
    """As a receipt."""


def row(seq: int, receipt: Receipt) -> tuple[Cell, ...]:
    """The values of `COLUMNS`."""
    values = (seq, *_head(receipt), len(receipt.attempts), *_tail(receipt))
    numbers: Any = values[_FIRST_INTEGER:]
    if max(numbers) > INTEGER_CAP or min(numbers) < -INTEGER_CAP:
        return values[:_FIRST_INTEGER] + _capped(numbers)
    return values


def attempt_rows(seq: int, receipt: Receipt) -> list[tuple[Cell, ...]]:
    """Those of attempts that cost or used something beside the answer that was given."""
    rows: list[tuple[Cell, ...]] = []
    for number, each in enumerate(receipt.attempts):
        if each.cost_nanos or each.usage != _NOTHING:
            provider = each.provider
            model = each.deployment.removeprefix(f"{provider}/")
            rows.append((seq, number, model, each.deployment, provider, *_capped(_counts(each))))
    return rows


def rows_of_entry(seq: int, entry: bytes) -> Rows:
    """What the bytes of an entry become."""
    try:
        receipt = decode_receipt(entry)
    except msgspec.MsgspecError:
        nothing = Receipt(id="", kind="unreadable", outcome="error", started_ms=0)
        return Rows(row(seq, nothing), [], readable=False)
    return Rows(row(seq, receipt), attempt_rows(seq, receipt), readable=True)


def _capped(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple([max(-INTEGER_CAP, min(INTEGER_CAP, number)) for number in numbers])
