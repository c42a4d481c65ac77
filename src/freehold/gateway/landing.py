"""The end of an answer that others may read: it is whole, it was refused, or it came to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.cache.stored import Stored, kept_headers
from freehold.core.errors import CallError
from freehold.gateway import headers as passing
from freehold.gateway.record import Measured
from freehold.receipts.entries import Outcome

if TYPE_CHECKING:
    from freehold.cache.flights import Flight
    from freehold.gateway.bad_answer import BadAnswer
    from freehold.gateway.call_state import CallState

WENT_ON = "the client left; its answer was finished for those who asked the same"
_SAME_AGAIN = frozenset((400, 404, 405, 410, 413, 414, 415, 422))
"""Refusals that the same request would get again."""


def landed(call: CallState, outcome: Outcome, error: str, measured: Measured) -> None:
    """The call is over: so is its flight."""
    flight, sharing = call.flight, call.gateway.sharing
    if flight is None:
        return
    call.flight = None
    if sharing is not None:
        sharing.flights.close(flight)
    relay = call.relay
    if outcome != "ok" or relay is None:
        in_words = outcome in ("truncated", "error") or (outcome == "refused" and not call.signs_silent())
        flight.lost(error, told=in_words)
        return
    if flight.leading and not flight.followers and flight.key is None:  # nobody will read it
        flight.ending = "whole"
        return
    headers = list(relay.passed_headers())
    if call.losses:
        headers.append((b"x-freehold-lossy", passing.safe_value(", ".join(call.losses))))
    flight.began(call.status, headers)
    now_ms = call.gateway.clock.now_ms()
    flight.whole(
        Stored(
            form="stream" if call.seen.stream is True else "whole",
            status=call.status,
            headers=kept_headers(headers),
            body=b"".join(flight.pieces),
            receipt=call.id,
            deployment=call.tries[-1].deployment,
            model=relay.tap.model,
            usage=measured.usage,
            cost_nanos=measured.cost_nanos,
            stored_ms=now_ms,
            expires_ms=now_ms,
        )
    )


def refused(call: CallState, error: CallError, bad: BadAnswer | None) -> Flight | None:
    """The call gets an error. Those who follow it get the same where the same request would get it again;
    else they ask for themselves."""
    flight, sharing = call.flight, call.gateway.sharing
    if flight is None:
        return None
    call.flight = None
    if sharing is not None:
        sharing.flights.close(flight)
    if error.status in _SAME_AGAIN:
        flight.refusal = (error, bad)
    return flight
