"""How one entry becomes one row of the table `calls`: the single place that maps fields to columns. Pure."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from freehold.receipts.entries import Receipt, decode_receipt

INTEGER_CAP = 1 << 50
"""Larger integers are capped in the projection, so that sums of thousands of lies still fit 64 bits."""

# Column -> attribute of Receipt, texts first, integers last, in the order of schema.sql (after `seq`).
TEXT_COLUMNS = (
    "id", "kind", "project", "agent", "session", "task", "via_key", "endpoint", "client_dialect",
    "model_asked", "model", "deployment", "provider", "server", "outcome", "error", "usage_state",
    "cost_state", "cached",
)  # fmt: skip
_BUCKETS = (
    "fresh_in", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in",
    "visible_out", "reasoning", "audio_out", "image_out", "web_searches",
)  # fmt: skip
_BEFORE_ATTEMPTS = ("started_ms", "first_byte_us", "total_us", "status", "stream")
_AFTER_ATTEMPTS = ("request_bytes", "response_bytes", "cost_nanos", "saved_nanos")

COLUMNS = ("seq", *TEXT_COLUMNS, *_BEFORE_ATTEMPTS, "attempts", *_AFTER_ATTEMPTS, *_BUCKETS)
_FIRST_INTEGER = COLUMNS.index("started_ms")

Cell = str | int
_head: Callable[[Receipt], tuple[Cell, ...]] = attrgetter(*TEXT_COLUMNS, *_BEFORE_ATTEMPTS)
_tail: Callable[[Receipt], tuple[Cell, ...]] = attrgetter(
    *_AFTER_ATTEMPTS, *(f"usage.{name}" for name in _BUCKETS)
)


def row(seq: int, receipt: Receipt) -> tuple[Cell, ...]:
    """The values of `COLUMNS`."""
    values = (seq, *_head(receipt), len(receipt.attempts), *_tail(receipt))
    numbers: Any = values[_FIRST_INTEGER:]
    if max(numbers) > INTEGER_CAP or min(numbers) < -INTEGER_CAP:
        capped = [max(-INTEGER_CAP, min(INTEGER_CAP, number)) for number in numbers]
        return values[:_FIRST_INTEGER] + tuple(capped)
    return values


def row_of_entry(seq: int, entry: bytes) -> tuple[tuple[Cell, ...], bool]:
    """The row of an entry's bytes, and whether they could be read as a receipt."""
    try:
        return row(seq, decode_receipt(entry)), True
    except msgspec.MsgspecError:
        return row(seq, Receipt(id="", kind="unreadable", outcome="error", started_ms=0)), False
