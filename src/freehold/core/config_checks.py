"""Rules of the configuration that its types cannot say. Pure: values in, problems out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from freehold.core.config import AuthConfig, Config, ProviderConfig, candidates_of
from freehold.core.config_budgets import budget_problems
from freehold.core.config_cache import cache_problems
from freehold.core.config_prices import Priced, price_problems
from freehold.core.config_routing import Known, routing_problems
from freehold.core.config_server_checks import Problem, server_problems
from freehold.core.config_telemetry import telemetry_problems
from freehold.core.errors import ConfigError
from freehold.core.keys import normal_hash
from freehold.core.listen import is_loopback, parse_listen

_NAME = re.compile(r"[^\s/\x00-\x1f\x7f]+")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def problems_in(config: Config) -> Iterator[Problem]:
    """Every broken rule, in the order of the keys. No message contains a configured value that could be
    a secret; only names are shown."""
    yield from _listen(config)
    for position, key in enumerate(config.auth.keys):
        yield from _refused(("auth", "keys", position), lambda key=key: normal_hash(key))
    for name, provider in config.providers.items():
        yield from _name(("providers", name))
        yield from _provider(("providers", name), provider)
    for name in config.servers:
        yield from _name(("servers", name))
        if name in config.providers:
            yield Problem(("servers", name), "a provider has the same name; rename one of them")
    yield from server_problems(config.servers)
    for name, path in config.engines.items():
        if not path:
            yield Problem(("engines", name), "is empty; it must name a program")
    for name, alias in config.models.items():
        yield from _name(("models", name))
        if name in config.servers:
            yield Problem(("models", name), "a server has the same name; rename one of them")
        if not candidates_of(alias):
            yield Problem(("models", name), "needs at least one candidate: a server or PROVIDER/model-id")
    known = Known(
        servers=config.servers,
        providers=config.providers,
        aliases=config.models,
        discover=config.discover,
    )
    yield from routing_problems(config.tiers, config.routing, known)
    yield from budget_problems(config.budgets)
    priced = Priced(
        prices=config.prices,
        energy=config.energy,
        subscriptions=config.subscriptions,
        providers=config.providers,
        servers=config.servers,
        discover=config.discover,
    )
    yield from price_problems(priced)
    names = {*config.servers, *config.providers, *config.models}
    yield from cache_problems(config.cache, known=names, discover=config.discover)
    yield from telemetry_problems(config.telemetry, config.listen)


def require_usable(config: Config) -> None:
    """Raises ConfigError for the first broken rule. For values that did not come from a file."""
    for problem in problems_in(config):
        raise ConfigError(problem.message, key=".".join(str(part) for part in problem.path))


def _listen(config: Config) -> Iterator[Problem]:
    try:
        host = parse_listen(config.listen).host
    except ConfigError as error:
        yield Problem(("listen",), error.message)
        return
    if not is_loopback(host) and config.auth == AuthConfig():
        yield Problem(
            ("listen",),
            "other machines can reach this address, so keys are required: run `freehold key new` and put "
            "its line under auth.keys, or listen on 127.0.0.1",
        )


def _name(path: tuple[str, str]) -> Iterator[Problem]:
    if not _NAME.fullmatch(path[1]):
        yield Problem(path, "a name has at least one character, and no '/' and no white space")


def _provider(path: tuple[str, ...], provider: ProviderConfig) -> Iterator[Problem]:
    if message := _url_problem(provider.base_url):
        yield Problem((*path, "base_url"), message)
    if provider.api_key is not None and not _is_header_value(provider.api_key):
        yield Problem((*path, "api_key"), "is empty, or contains white space or other characters no key has")
    if not provider.models:
        yield Problem((*path, "models"), 'is empty; name the model ids, write "*", or drop the key')
    for header, value in provider.headers.items():
        if not _HEADER.fullmatch(header):
            yield Problem((*path, "headers", header), "is not a valid header name")
        elif any(ord(sign) < 32 or ord(sign) == 127 for sign in value):
            yield Problem(
                (*path, "headers", header), "a header's value is one line without control characters"
            )


def _is_header_value(key: str) -> bool:
    return bool(key) and all(33 <= ord(sign) < 127 for sign in key)


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must be a URL that begins with http:// or https:// and names a host"
    if parts.username or parts.password:
        return "must not hold a user name or password; put the key under api_key"
    if parts.query or parts.fragment or re.search(r"\s", url):
        return "must end with the path: no '?', '#' or white space"
    return None


def _refused(path: tuple[str | int, ...], attempt: Callable[[], object]) -> Iterator[Problem]:
    try:
        attempt()
    except ConfigError as error:
        yield Problem(path, error.message)
