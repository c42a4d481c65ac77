"""Token counts under the names that exporters use, to the one record with disjoint buckets. Pure.

The conventions say that input includes what was read from and written to the cache, and output the reasoning.
Some exporters pass Anthropic's own counts on, which exclude the cache: `cache_beside` says so. Where it does
not, the counts themselves may (a sum, or more cached than input), as in `dialects.usage`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from freehold.adapters.telemetry.signals import Attributes, Value
from freehold.core.usage import Usage
from freehold.dialects.usage import usage_of

LARGEST = 2**53
"""No real count is larger; what is, is read as absent."""

Names = Mapping[str, tuple[str, ...]]
"""Bucket -> names of attributes, the newest first: input, output, total, cache_read, cache_write,
cache_write_5m, cache_write_1h, reasoning, audio_in, audio_out, audio_read, image_in, image_out."""


class Told(msgspec.Struct, frozen=True):
    """What an exporter says was used. `raw` is empty when it says nothing."""

    usage: Usage
    raw: str


NOTHING = Told(Usage(), "")


def told(found: Attributes, names: Names, *, cache_beside: bool = False) -> Told:
    """The usage in `found`, and the counts it is made of as JSON under their own names."""
    counts: dict[str, int] = {}
    raw: dict[str, Value] = {}
    for bucket, candidates in names.items():
        for name in candidates:
            if (count := whole(found.get(name))) is not None:
                raw[name] = found[name]
                counts[bucket] = counts.get(bucket) or count  # a zero does not hide an older name's count
    if not counts:
        return NOTHING
    made = _messages(counts) if cache_beside else _chat(counts)
    usage = usage_of("messages" if cache_beside else "chat", msgspec.json.encode(made))
    return Told(usage, msgspec.json.encode(raw, order="sorted").decode())


def _chat(counts: Mapping[str, int]) -> dict[str, object]:
    """As a usage object of chat completions, which includes what it breaks down."""
    written = max(counts.get("cache_write", 0), _both_writes(counts))
    prompt: dict[str, object] = {
        "cached_tokens": counts.get("cache_read", 0),
        "cache_write_tokens": written,
        "cache_write_tokens_details": {"ttl_12h_tokens": counts.get("cache_write_1h", 0)},
        "audio_tokens": counts.get("audio_in", 0),
        "image_tokens": counts.get("image_in", 0),
        "cached_tokens_details": {"audio_tokens": counts.get("audio_read", 0)},
    }
    completion = {
        "reasoning_tokens": counts.get("reasoning", 0),
        "audio_tokens": counts.get("audio_out", 0),
        "image_tokens": counts.get("image_out", 0),
    }
    made: dict[str, object] = {"prompt_tokens_details": prompt, "completion_tokens_details": completion}
    for bucket, name in (("input", "prompt_tokens"), ("output", "completion_tokens")):
        if bucket in counts:
            made[name] = counts[bucket]
    if "total" in counts:
        made["total_tokens"] = counts["total"]
    return made


def _messages(counts: Mapping[str, int]) -> dict[str, object]:
    """As a usage object of Messages, which has the cache beside the input."""
    return {
        "input_tokens": counts.get("input", 0),
        "output_tokens": counts.get("output", 0),
        "cache_read_input_tokens": counts.get("cache_read", 0),
        "cache_creation_input_tokens": max(counts.get("cache_write", 0), _both_writes(counts)),
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.get("cache_write_5m", 0),
            "ephemeral_1h_input_tokens": counts.get("cache_write_1h", 0),
        },
        "output_tokens_details": {"thinking_tokens": counts.get("reasoning", 0)},
    }


def _both_writes(counts: Mapping[str, int]) -> int:
    return counts.get("cache_write_5m", 0) + counts.get("cache_write_1h", 0)


# -- values, as exporters write them: numbers, or numbers in texts


def whole(value: Value | None) -> int | None:
    """A count; None for what is none."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= LARGEST else None


def number(value: Value | None) -> float | None:
    """A finite number; None for what is none."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def nanos(usd: Value | None, micros: Value | None = None) -> int | None:
    """Money as nano-USD, from USD or (exact, so it comes first) millionths of USD. None where nothing, or
    nothing above zero, is said: exporters say 0 of models that they have no price for."""
    if (found := number(micros)) is not None and 0 < found < LARGEST / 1000:
        return round(found * 1000)
    if (found := number(usd)) is not None and 0 < found < LARGEST / 1_000_000_000:
        return round(found * 1_000_000_000)
    return None


def text(found: Attributes, *names: str) -> str:
    """The first of `names` that says something; bounded."""
    for name in names:
        if (value := found.get(name, "")) not in ("", None):
            return str(value)[:200]
    return ""
