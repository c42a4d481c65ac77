"""Claude Code's line about itself at the head of its system prompt. It may change with every call, and a
changed first line makes a server read the whole prompt again. Only Anthropic itself has a use for it."""

from __future__ import annotations

from typing import cast

from freehold.dialects.conversation import JsonObject

MARK = "x-anthropic-billing-header:"


def without_line(text: str) -> str:
    """A text of the system prompt without the line; the very same text when there is none."""
    return text.partition("\n")[2].lstrip("\n") if text.startswith(MARK) else text


def without_attribution(system: object) -> object:
    """A request's `system`, decoded, without the line; a block that said nothing else is gone."""
    if isinstance(system, str):
        return without_line(system)
    if not isinstance(system, list):
        return system
    blocks = cast(list[object], system)
    return [kept for block in blocks if (kept := _block(block)) is not None]


def _block(block: object) -> object:
    if not isinstance(block, dict):
        return block
    item = cast(JsonObject, block)
    text: object = item.get("text")
    if not isinstance(text, str) or not text.startswith(MARK):
        return item
    rest = without_line(text)
    return {**item, "text": rest} if rest else None
