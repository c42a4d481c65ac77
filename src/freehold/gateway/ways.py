"""Which of the four ways an answer takes back: whole or streamed, in its own dialect or translated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.gateway.escalating import judge_for
from freehold.gateway.events import EventRelay, TranslatedStream
from freehold.gateway.relay import Header, Relay
from freehold.gateway.whole import TranslatedWhole, WholeRelay

if TYPE_CHECKING:
    from freehold.gateway.call import Call


def relay_for(call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes]) -> Relay:
    """The way back for an answer that began with `status` (< 400) and `headers` (`fields`: as a mapping)."""
    streamed = fields.get(b"content-type", b"").startswith(b"text/event-stream")
    relay = _relay(call, status, headers, fields, streamed=streamed)
    if call.climb is not None:
        relay.judge = judge_for(call, streamed=streamed)
    return relay


def _relay(
    call: Call, status: int, headers: list[Header], fields: dict[bytes, bytes], *, streamed: bool
) -> Relay:
    prepared = call.prepared
    assert prepared is not None
    if prepared.context is not None:
        if streamed:
            return TranslatedStream(call, status, headers, fields, prepared.context)
        return TranslatedWhole(call, status, headers, fields, prepared.context)
    if streamed:
        return EventRelay(call, status, headers, fields)
    return WholeRelay(call, status, headers, fields)
