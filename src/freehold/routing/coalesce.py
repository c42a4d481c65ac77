"""Which calls are the same call, so that one upstream serves them both. Pure.

Two samples of a model that throws dice are two answers, so a request is only shared when it has no dice, or
when it is a retry: the same body again within the same session.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from freehold.routing.reading import without_chance

_NO_DICE = frozenset(("embeddings", "rerank", "moderations"))
_TALK = frozenset(("chat", "messages", "responses", "ollama.chat", "completions"))


class CallFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What tells calls apart. `who` is the key under which the call is made: answers are never shared between
    keys. `endpoint` is its name in receipts. `variant` is what else changes an answer: the headers that go
    upstream (a beta feature, strictness)."""

    endpoint: str
    body: bytes
    who: str = ""
    session: str = ""
    variant: bytes = b""


def coalesce_key(call: CallFacts) -> bytes | None:
    """Names what a call asks, for those whose answer may be shared while it is under way; None for others."""
    if call.endpoint in _NO_DICE:
        return _name(call, b"")
    if call.endpoint in _TALK and without_chance(call.body):
        return _name(call, b"")
    return None


def reattach_key(call: CallFacts) -> bytes | None:
    """Names a call that may go on with the answer of one that was cut: the same body in the same session.
    Only for a former call whose client has left: two that wait both want an answer of their own."""
    return _name(call, call.session.encode()) if call.session and call.endpoint in _TALK else None


def _name(call: CallFacts, session: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in (call.who.encode(), call.endpoint.encode(), session, call.variant, call.body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.digest()
