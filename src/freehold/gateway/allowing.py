"""What providers allow, as their answers tell it, and who is better left alone for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.core.catalog import Deployment

if TYPE_CHECKING:
    from freehold.costs.limits.book import LimitBook

_REFUSED = (429, 503, 529)


def note(
    book: LimitBook, deployment: Deployment, status: int, fields: dict[bytes, bytes], now_ms: int
) -> None:
    """Read the limits in an answer's head, where it has any. `deployment` is a provider's."""
    refused = status in _REFUSED
    if not refused:
        for name in fields:
            if b"ratelimit" in name or name.endswith(b"-used-percent"):
                break
        else:
            return
    book.read(deployment.provider or "", fields, now_ms, deployment.model_id, refused=refused)


def spent_last(book: LimitBook, candidates: tuple[Deployment, ...], now_ms: int) -> tuple[Deployment, ...]:
    """The same, those behind the others whose limits are nearly used up."""
    spent = [
        place
        for place in candidates
        if place.provider and book.exhausting(place.provider, now_ms, place.model_id) is not None
    ]
    if not spent:
        return candidates
    return (*[place for place in candidates if place not in spent], *spent)
