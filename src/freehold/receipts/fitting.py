"""Making an oversized or badly encoded receipt fit into a log entry. The rare path; pure."""

from __future__ import annotations

from typing import Any

import msgspec

from freehold.receipts.entries import Receipt

_LONGEST_TEXT = 500
"""Bytes of JSON. Some 25 texts, 20 losses and 20 attempts with 2 texts each stay below 45,000 bytes."""
_MOST_ITEMS = 20
_CUT = " [cut]"


def fit(receipt: Receipt) -> Receipt:
    """The same receipt with valid Unicode, texts of at most 500 bytes and lists of at most 20 items.

    What was cut ends in `[cut]`. The result always encodes to less than 65,535 bytes.
    """
    return msgspec.convert(_fit(msgspec.to_builtins(receipt)), Receipt)


def _fit(value: Any) -> Any:
    if isinstance(value, str):
        return _fit_text(value)
    if isinstance(value, dict):
        return {key: _fit(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_fit(item) for item in value[:_MOST_ITEMS]]  # pyright: ignore[reportUnknownVariableType]
    return value


def _fit_text(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()
    if len(msgspec.json.encode(clean)) <= _LONGEST_TEXT:
        return clean
    kept = clean[:_LONGEST_TEXT]
    while len(msgspec.json.encode(kept)) > _LONGEST_TEXT:
        kept = kept[: len(kept) * 3 // 4]
    return kept + _CUT
