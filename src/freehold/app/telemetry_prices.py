"""What a call that others made cost: by our price table where it knows the model, else as told."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from freehold.core.catalog import Provider
from freehold.core.observed import Observed
from freehold.costs.book import PriceBook
from freehold.costs.prices import Cost
from freehold.receipts.observed import Charge

_PRICE_IDS: Mapping[str, str] = {
    "aws.bedrock": "aws",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "togetherai": "together",
    "x_ai": "x-ai",
    "xai": "x-ai",
}
"""Names of the GenAI conventions that the price table has under others."""


def charge_of(seen: Observed, book: PriceBook, providers: Mapping[str, Provider]) -> Charge:
    """The cost of a call. `computed` only where its address tells whose prices hold: a client library that
    calls itself `openai` may talk to anybody, so by its word alone the cost is `estimated`."""
    configured = provider_at(seen.address, providers)
    name = configured.name if configured is not None else seen.provider
    if not seen.usage_raw:
        if seen.error:
            return Charge(state="free", provider=name)
        return _stated(seen, name)
    if seen.of_many and seen.stated_nanos is not None:
        return _stated(seen, name)  # prices by the size of a prompt cannot be told from sums
    at = configured.price_as if configured is not None else None
    at = at or (book.price_id_of(f"https://{seen.address}/") if seen.address else None)
    cost = _cost(seen, book, at or _PRICE_IDS.get(seen.provider, seen.provider), name)
    if cost.state == "unknown":
        return _stated(seen, name)
    sure = (at is not None and not seen.of_many) or cost.state != "computed"
    return Charge(cost.nanos, cost.state if sure else "estimated", cost.snapshot, name)


def _cost(seen: Observed, book: PriceBook, price_id: str, name: str) -> Cost:
    terms = book.under(speed=seen.speed) if seen.speed else book
    cost = Cost(0, "unknown")
    for model in dict.fromkeys((seen.model, seen.model_asked)):
        if model and name:
            cost = terms.price(price_id, name, model, seen.usage, seen.started_ms)
            if cost.state != "unknown":
                break
    return cost


def _stated(seen: Observed, name: str) -> Charge:
    if seen.stated_nanos is None:
        return Charge(provider=name)
    return Charge(seen.stated_nanos, "estimated", provider=name)


def provider_at(address: str, providers: Mapping[str, Provider]) -> Provider | None:
    """The provider of the configuration that is at this address."""
    if not address:
        return None
    host, port = _place(f"//{address}")
    for provider in providers.values():
        own_host, own_port = _place(provider.base_url)
        anybody = port is None and host not in _HERE  # on this machine many listen
        if host and host == own_host and (anybody or port == own_port):
            return provider
    return None


_HERE = ("127.0.0.1", "::1", "host.docker.internal")


def _place(url: str) -> tuple[str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", None
    host = (parts.hostname or "").lower()
    return ("127.0.0.1" if host == "localhost" else host), port
