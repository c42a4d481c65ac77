"""A deployment as something bytes can be sent to: origin, paths, credentials, native dialects.

Pure values, made once per deployment and address and kept by the gateway until the catalog changes.
"""

from __future__ import annotations

import msgspec

from freehold.core.catalog import Catalog, Deployment, Dialect, Provider
from freehold.gateway.headers import safe_value
from freehold.gateway.origin import Origin

LOCAL_PRICES = "local"
"""Price id of our own hardware."""

_ANTHROPIC_VERSION = b"2023-06-01"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to send. `base` is the path in front of the operation: it replaces `/v1` for OpenAI-like
    upstreams and stands before it for Anthropic. `set_headers` are ready header lines that replace any of
    the client's with a name in `replaced`."""

    deployment: Deployment
    origin: Origin
    base: bytes
    anthropic: bool = False
    native: frozenset[Dialect]
    set_headers: bytes = b""
    replaced: frozenset[bytes] = frozenset()
    timeout_s: float = 600.0
    price_id: str | None = None
    secret: bytes = b""
    """The provider's key: never to be shown."""
    only_maker: bool = False
    """No other provider here speaks its dialect, so signed reasoning in a history can only be its own."""
    label: bytes = b""
    """The deployment's name as a header value."""
    base_url: str = ""
    """Of a server of ours: another one after each of its starts."""

    def path_of(self, target: bytes) -> bytes:
        """The upstream's path (with query) for a client's `/v1/...` target."""
        return self.base + target if self.anthropic else self.base + target[3:]


def provider_target(deployment: Deployment, provider: Provider, *, only_maker: bool = False) -> Target:
    """Raises ValueError when the provider's address is no http(s) URL."""
    anthropic = provider.dialect == "anthropic"
    base = _path(provider.base_url)
    native: set[Dialect] = {"messages"} if anthropic else {"chat"}
    if provider.responses:
        native.add("responses")
    lines: list[tuple[bytes, bytes]] = [
        (name.lower().encode(), value.encode()) for name, value in provider.headers.items()
    ]
    if provider.api_key:
        key = provider.api_key.encode()
        lines.append((b"x-api-key", key) if anthropic else (b"authorization", b"Bearer " + key))
    return Target(
        deployment=deployment,
        origin=Origin.of(provider.base_url),
        base=base.removesuffix(b"/v1") if anthropic else base,
        anthropic=anthropic,
        native=frozenset(native),
        set_headers=b"".join(b"%b: %b\r\n" % line for line in lines),
        replaced=frozenset(name for name, _ in lines),
        timeout_s=provider.timeout_s,
        price_id=provider.price_as,
        secret=(provider.api_key or "").encode(),
        only_maker=only_maker,
        label=safe_value(deployment.name),
    )


def server_target(deployment: Deployment, base_url: str) -> Target:
    """A model server of ours; only chat is taken as native, so that one translation serves every engine."""
    return Target(
        deployment=deployment,
        origin=Origin.of(base_url),
        base=b"/v1",
        native=frozenset(("chat",)),
        label=safe_value(deployment.name),
        price_id=LOCAL_PRICES,
        base_url=base_url,
    )


def upstream_dialect(target: Target, client: Dialect) -> Dialect:
    """The grammar to use towards the target: the client's own where it is understood."""
    if client in target.native:
        return client
    return "messages" if target.anthropic else "chat"


def default_deployment(catalog: Catalog) -> Deployment | None:
    """Where paths without a model go: the default provider."""
    name = catalog.default_provider
    return Deployment(name=name, model_id="", provider=name) if name else None


def anthropic_defaults(headers: dict[bytes, bytes]) -> bytes:
    """Header lines that Anthropic demands and this client did not send."""
    return b"" if b"anthropic-version" in headers else b"anthropic-version: %b\r\n" % _ANTHROPIC_VERSION


def _path(url: str) -> bytes:
    rest = url.partition("://")[2]
    _, slash, path = rest.partition("/")
    return (slash + path).rstrip("/").encode()
