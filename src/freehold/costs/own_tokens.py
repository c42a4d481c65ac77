"""What tokens of our own servers cost, as their calls tell: for comparing places, not for bills.

A server is paid by time (`costs.local`), a choice is made by tokens. One figure for each server is learned:
what a token that it writes costs. Reading one counts as a `READING`th of that, because many tokens of a
prompt are read at once; what is still in a cache of the server counts nothing. Newer calls say more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from freehold.core.usage import Usage

READING = 20
"""Tokens of a prompt that are read while one of an answer is written; engines differ, from about 5 to 50."""
_FADES = 0.95
"""What a call says counts so much less with each one after it."""
_PER = 1_000_000


class OwnTokens(NamedTuple):
    """Nano-USD for a million tokens."""

    fresh_in: int
    out: int


class Seen(msgspec.Struct):
    """Of one server: what its newest calls cost together, and tokens written for it."""

    nanos: float = 0.0
    tokens: float = 0.0


class TokenCosts:
    """By server. The one owner is told of each call that was answered whole."""

    def __init__(self, seen: Mapping[str, Seen] | None = None) -> None:
        self.seen = dict(seen or {})

    def learn(self, server: str, cost_nanos: int, usage: Usage) -> None:
        """A call has cost so much there."""
        fresh = usage.input_total - usage.cache_read
        tokens = usage.output_total + fresh / READING
        if tokens <= 0:
            return
        seen = self.seen.setdefault(server, Seen())
        seen.nanos = seen.nanos * _FADES + cost_nanos
        seen.tokens = seen.tokens * _FADES + tokens

    def of(self, server: str) -> OwnTokens | None:
        """None: it has not answered yet, so nobody knows."""
        seen = self.seen.get(server)
        if seen is None or seen.tokens <= 0:
            return None
        out = round(seen.nanos * _PER / seen.tokens)
        return OwnTokens(fresh_in=out // READING, out=out)
