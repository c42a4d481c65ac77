"""Request fields that a Responses object repeats."""

from __future__ import annotations

from freehold.dialects.conversation import JsonObject

_REPEATED = (
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)


def echoed(found: JsonObject) -> JsonObject:
    """Fields of `found`, a Responses request, as they stand in every Responses object that answers it.
    Left out are those that a translated call does not honour: `store`, `background`, `service_tier`."""
    return {name: found[name] for name in _REPEATED if found.get(name) is not None}
