"""Terms other than a vendor's standard ones, on which tokens have other prices. Pure.

OpenAI and Google have service tiers; Anthropic a faster way to answer. What was asked for is not always what
is given, so an answer's own word decides what it cost; before it, the dearer of both is held.
"""

from __future__ import annotations

from collections.abc import Mapping

from freehold.costs.prices import Rates

Terms = Mapping[str, str]
"""As the price table has them: `service_tier` -> `priority`, `speed` -> `fast`."""

STANDARD: Terms = {}
_TIERS = ("fast", "flex", "priority")


def terms_of(service_tier: object, speed: object = None, geo: object = None) -> Terms:
    """What a request or an answer says, as far as it has prices of its own."""
    found: dict[str, str] = {}
    if isinstance(service_tier, str) and service_tier in _TIERS:
        found["service_tier"] = service_tier
    if speed == "fast":
        found["speed"] = "fast"
    if geo == "us":  # Anthropic, "Data residency": 1.1 times every price of tokens
        found["inference_geo"] = "us"
    return found


def terms_words(terms: Terms) -> str:
    """As a receipt has them: `service_tier=priority`."""
    return " ".join([f"{name}={value}" for name, value in terms.items()])


def terms_in(words: str) -> Terms:
    """The inverse of `terms_words`; words that are none of ours say nothing."""
    found = dict(word.split("=", 1) for word in words.split() if "=" in word)
    return terms_of(found.get("service_tier"), found.get("speed"), found.get("inference_geo"))


def dearer(one: Rates | None, other: Rates | None) -> Rates | None:
    """Of two sets of rates the one with the larger prices of text."""
    if one is None or other is None:
        return one if other is None else other
    return max(one, other, key=lambda rates: rates.fresh_in + rates.visible_out)
