"""The question that a request asks, and everything around it. Pure.

Only the last user message may differ between two requests that mean the same: system prompt, tools, history
and parameters must be equal, byte for byte in canonical form.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, cast

import msgspec

from freehold.cache.keys import Asked, JsonObject

LONGEST_TEXT = 2000
"""Characters; a longer message is data rather than a question, and is not compared."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """`context`: a hash of all that must be equal."""

    text: str
    context: bytes


def question_of(asked: Asked, document: JsonObject, salt: bytes) -> Question | None:
    """What `document` (of `keys.key_of`) asks; None when its last message is not a user's plain text."""
    found = _last_user_text(asked.endpoint, document)
    if found is None:
        return None
    text, rest = found
    if not text.strip() or len(text) > LONGEST_TEXT:
        return None
    digest = blake2b(digest_size=16, key=salt)
    for part in (asked.endpoint.encode(), asked.scope, asked.route, asked.headers, _encode(rest)):
        digest.update(b"%d:" % len(part) + part)
    return Question(text=text, context=digest.digest())


def _last_user_text(endpoint: str, document: JsonObject) -> tuple[str, JsonObject] | None:
    name = {"chat": "messages", "messages": "messages", "ollama.chat": "messages", "responses": "input"}.get(
        endpoint
    )
    if name is None:
        return None
    said: Any = document.get(name)
    if isinstance(said, str):
        return said, {**document, name: None}
    if not isinstance(said, list) or not said:
        return None
    items = cast(list[object], said)
    last = items[-1]
    if not isinstance(last, dict):
        return None
    message = cast(JsonObject, last)
    text = _plain_text(message.get("content"))
    if text is None or message.get("role") != "user" or message.get("images"):
        return None
    rest = {key: value for key, value in message.items() if key != "content"}
    return text, {**document, name: [*items[:-1], rest]}


def _plain_text(content: object) -> str | None:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    texts: list[str] = []
    for part in cast(list[object], content):
        piece = cast(JsonObject, part) if isinstance(part, dict) else {}
        text: object = piece.get("text")
        if piece.get("type") not in ("text", "input_text") or not isinstance(text, str):
            return None
        texts.append(text)
    return "\n".join(texts) if texts else None
