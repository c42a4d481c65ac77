"""Signed reasoning carried through a foreign dialect and back to its maker.

A Responses client keeps `encrypted_content` for us, a Messages client keeps `signature`. Anthropic's
signature travels in the first, OpenAI's encrypted content in the second, behind a mark that tells
whose it is: reasoning goes back only to its maker, byte for byte.
"""

from __future__ import annotations

from freehold.dialects.conversation import Thinking

_SIGNED = "freehold.messages.signed."
_REDACTED = "freehold.messages.redacted."
_RESPONSES = "freehold.responses."


def seal(thinking: Thinking) -> str:
    """The text that a client of another dialect keeps for `thinking`; "" for unsigned reasoning."""
    if thinking.maker == "responses" and thinking.signature:
        return f"{_RESPONSES}{thinking.id}.{thinking.signature}"
    if thinking.maker == "messages" and thinking.redacted:
        return f"{_REDACTED}{thinking.redacted}"
    if thinking.maker == "messages" and thinking.signature:
        return f"{_SIGNED}{thinking.signature}"
    return ""


def unsealed(kept: str, text: str) -> Thinking | None:
    """The reasoning behind a seal, with the visible `text` that stood beside it; None when `kept`
    is not a seal of ours (then it is the client's dialect's own)."""
    if kept.startswith(_RESPONSES):
        item, dot, signature = kept[len(_RESPONSES) :].partition(".")
        return Thinking(maker="responses", text=text, id=item, signature=signature) if dot else None
    if kept.startswith(_REDACTED):
        return Thinking(maker="messages", redacted=kept[len(_REDACTED) :])
    if kept.startswith(_SIGNED):
        return Thinking(maker="messages", text=text, signature=kept[len(_SIGNED) :])
    return None
