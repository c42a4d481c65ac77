"""What a deployment can take: tools, pictures, long prompts, another dialect's own features. Pure.

What the configuration and the engine say comes first; for well-known families of models their makers'
published facts stand in; the rest is unknown, which means yes, with doubt.
"""

from __future__ import annotations

import re

import msgspec

from freehold.core.servers import ServerSpec
from freehold.routing.world import Abilities, Needs


class _Family(msgspec.Struct, frozen=True, kw_only=True):
    names: re.Pattern[str]
    tools: bool | None = True
    vision: bool | None = False
    audio: bool | None = False
    json: bool | None = True
    context: int = 0


def _family(names: str, **facts: bool | int | None) -> _Family:
    return _Family(names=re.compile(names, re.IGNORECASE), **facts)  # pyright: ignore[reportArgumentType]


_FAMILIES = (
    _family(r"claude-(?:3|opus|sonnet|haiku|[4-9])", vision=True, json=None, context=200_000),
    _family(r"gpt-4o-audio|gpt-audio", vision=False, audio=True, context=128_000),
    _family(r"gpt-4\.1", vision=True, context=1_000_000),
    _family(r"gpt-5", vision=True, context=400_000),
    _family(r"gpt-4o|chatgpt-4o", vision=True, context=128_000),
    _family(r"gpt-4-turbo", vision=True, context=128_000),
    _family(r"gpt-oss", context=131_072),
    _family(r"gpt-4(?:-|$)", context=8_192),
    _family(r"gpt-3\.5", context=16_385),
    _family(r"\bo1-mini|\bo1-preview", tools=False, json=False, context=128_000),
    _family(r"\bo3-mini", context=200_000),
    _family(r"\bo(?:1|3|4-mini)\b", vision=True, context=200_000),
    _family(r"gemini-(?:1\.5|2|3)", vision=True, audio=True, context=1_000_000),
    _family(r"deepseek-(?:chat|reasoner|v3|v4|r1)", context=64_000),
    _family(r"llama-4", vision=True, context=128_000),
    _family(r"llama-?3\.2-(?:11|90)b", vision=True, context=128_000),
    _family(r"llama-?3\.[123]", context=128_000),
    _family(r"pixtral|mistral-(?:small|medium)-(?:3|2[5-9])", vision=True, context=128_000),
    _family(r"mi[sx]tral|codestral|ministral|devstral", context=32_000),
    _family(r"qwen.*vl|qwen.*omni", vision=True, context=32_000),
    _family(r"qwen", context=32_000),
    _family(r"kimi-k2", context=128_000),
    _family(r"glm-4\.[5-9]v", vision=True, context=64_000),
    _family(r"glm-4\.[5-9]|glm-5", context=128_000),
    _family(r"grok-(?:4|3)", vision=None, context=128_000),
)
"""By how their ids look, the first that fits; `context` is the least that the family has."""

NOT_FOR_TALK = re.compile(
    r"embed|whisper|tts|dall-e|moderation|rerank|transcrib|image|realtime|babbage|davinci|sora|speech|guard",
    re.IGNORECASE,
)
"""Ids of models that do not answer conversations."""


def known_abilities(model_id: str) -> Abilities:
    """What is published of the family that an id belongs to; nothing when it is none of them."""
    found = next((family for family in _FAMILIES if family.names.search(model_id)), None)
    if found is None:
        return Abilities()
    return Abilities(
        tools=found.tools, vision=found.vision, audio=found.audio, json=found.json, context=found.context
    )


def server_abilities(spec: ServerSpec) -> Abilities:
    """What a server of ours can take, from how it is started. Its own context counts, not its family's:
    it may have been given less. Freehold speaks chat to every engine."""
    if spec.engine == "llama.cpp":  # grammars make its JSON; templates of most models know tools
        known = known_abilities(spec.model.rpartition("/")[2])
        pictures = bool(spec.projector)
        return Abilities(
            tools=True if known.tools is None else known.tools,
            vision=pictures,
            audio=None if pictures else False,
            json=True,
            context=spec.context,
        )
    known = known_abilities(spec.model or spec.model_id)
    context = spec.context or known.context
    return msgspec.structs.replace(known, context=context, json=True if spec.engine != "command" else None)


def lacks(needs: Needs, able: Abilities, input_tokens: int) -> str:
    """Why a deployment cannot take a call, in words; empty when it can, or may be able to."""
    if able.context and input_tokens > able.context:
        return f"takes {able.context:,} tokens, the prompt has about {input_tokens:,}"
    for what in ("tools", "vision", "audio", "json"):
        if getattr(needs, what) and getattr(able, what) is False:
            return f"takes no {_WORDS[what]}"
    if needs.native is not None and needs.native not in able.native:
        return f"does not itself speak {needs.native}, whose own features the call uses"
    return ""


def doubts(needs: Needs, able: Abilities) -> tuple[str, ...]:
    """What the call needs and nobody knows of the deployment."""
    return tuple(
        words for what, words in _WORDS.items() if getattr(needs, what) and getattr(able, what) is None
    )


_WORDS = {"tools": "tools", "vision": "pictures", "audio": "sound", "json": "JSON mode"}
