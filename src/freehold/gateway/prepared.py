"""A request as it goes upstream, as a value."""

from __future__ import annotations

import msgspec

from freehold.core.catalog import Dialect
from freehold.dialects.context import TranslationContext


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What goes upstream. `context` is None where both sides speak the same dialect;
    `strip_usage`: we asked for usage in the stream, the client did not."""

    body: bytes
    target: bytes
    dialect: Dialect
    context: TranslationContext | None = None
    losses: tuple[str, ...] = ()
    strip_usage: bool = False
