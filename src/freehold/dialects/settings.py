"""Request fields that some upstreams do not have: OpenAI's own settings (the same in chat and
Responses), sampling, cache marks; and how their loss is named."""

from __future__ import annotations

from freehold.dialects.conversation import Conversation, JsonObject, ToolResult
from freehold.dialects.fields import Fields, Losses

_SHARED = (
    "metadata",
    "moderation",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
    "verbosity",
)


def take_settings(fields: Fields) -> JsonObject:
    """The shared settings that the client set."""
    found = {name: fields.take(name) for name in _SHARED}
    return {name: value for name, value in found.items() if value is not None}


def lose_settings(conversation: Conversation, losses: Losses, kept: tuple[str, ...] = ()) -> None:
    """Name every setting that the upstream will not see. Not storing and having no metadata need
    no support."""
    for name, value in conversation.settings.items():
        if name not in kept and value not in (False, {}, ""):
            losses.add(name)


def lose_sampling(conversation: Conversation, losses: Losses, *names: str) -> None:
    """Name those fields of `Sampling` that were set and that the upstream does not have."""
    for name in names:
        value = getattr(conversation.sampling, name)
        if value not in (None, ()) and (value or name == "seed"):
            losses.add(name)


def lose_caches(conversation: Conversation, losses: Losses) -> None:
    """Name the loss when any part or tool carries Anthropic's `cache_control`: OpenAI-like upstreams
    cache by themselves."""
    marked = any(tool.cache for tool in conversation.tools) or any(
        getattr(part, "cache", None) for turn in conversation.turns for part in turn.parts
    )
    inner = any(
        part.cache
        for turn in conversation.turns
        for result in turn.parts
        if isinstance(result, ToolResult)
        for part in result.parts
    )
    if marked or inner:
        losses.add("cache_control")
