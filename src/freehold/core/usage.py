"""Token usage in disjoint buckets: no token is counted twice, whatever the provider's own habit.

OpenAI's `prompt_tokens` includes cached tokens, Anthropic's `input_tokens` does not; both become
this one record in `dialects.usage`. Prices apply per bucket in `costs`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tokens of one attempt. Fields stand in alphabetical order so that the encoding is canonical.

    `input_total` and `output_total` are sums of disjoint buckets by construction.
    """

    audio_in: int = 0
    audio_out: int = 0
    cache_read: int = 0
    cache_write_1h: int = 0
    cache_write_5m: int = 0
    fresh_in: int = 0
    image_in: int = 0
    image_out: int = 0
    reasoning: int = 0
    visible_out: int = 0
    web_searches: int = 0

    @property
    def input_total(self) -> int:
        return (
            self.fresh_in
            + self.cache_read
            + self.cache_write_5m
            + self.cache_write_1h
            + self.audio_in
            + self.image_in
        )

    @property
    def output_total(self) -> int:
        return self.visible_out + self.reasoning + self.audio_out + self.image_out


def minus(usage: Usage, parts: Iterable[Usage]) -> Usage:
    """What is left of a sum without some of its parts."""
    left = {name: getattr(usage, name) for name in Usage.__struct_fields__}
    for part in parts:
        for name in left:
            left[name] -= getattr(part, name)
    return Usage(**left)
