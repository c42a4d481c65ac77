"""The `telemetry:` part of `freehold.yaml`, and its rules. Pure: values in, problems out.

What comes in on `/v1/traces`, `/v1/metrics` and `/v1/logs` is always understood; here stands what leaves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from freehold.core.config_server_checks import Problem
from freehold.core.errors import ConfigError
from freehold.core.listen import is_loopback, parse_listen

Conventions = Literal["latest", "1.41", "1.36"]
OtlpProtocol = Literal["http/protobuf", "http/json"]
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class TelemetryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of OpenTelemetry data, and where ours goes."""

    forward: Annotated[
        str | None,
        Meta(
            description="A collector that gets everything that was received, byte for byte: its address "
            "without `/v1/...`.",
            examples=["http://127.0.0.1:4318"],
        ),
    ] = None
    export: Annotated[
        str | None,
        Meta(
            description="A collector that gets a span for each call that went through Freehold: its address "
            "without `/v1/...`.",
            examples=["http://127.0.0.1:4318"],
        ),
    ] = None
    headers: Annotated[
        dict[str, str],
        Meta(
            description="Headers for the collector, like its API key.",
            examples=[{"authorization": "${OTLP_AUTHORIZATION}"}],
        ),
    ] = {}
    protocol: Annotated[OtlpProtocol, Meta(description="How exported spans are written.")] = "http/protobuf"
    conventions: Annotated[
        Conventions,
        Meta(
            description="Names of the spans' attributes: the newest GenAI conventions, or those of an older "
            "version that the collector's pages expect."
        ),
    ] = "latest"
    from_metrics: Annotated[
        bool,
        Meta(
            description="Make receipts of the token counts that Claude Code sends as metrics. Only for "
            "setups that export metrics and no logs: with both, tokens would count twice."
        ),
    ] = False


def telemetry_problems(telemetry: TelemetryConfig, listen: str) -> Iterator[Problem]:
    """Every broken rule, in the order of the keys. `listen` is the house's own address."""
    for key, url in (("forward", telemetry.forward), ("export", telemetry.export)):
        if url is not None and (message := _url_problem(url, listen)):
            yield Problem(("telemetry", key), message)
    for header, value in telemetry.headers.items():
        if not _HEADER.fullmatch(header):
            yield Problem(("telemetry", "headers", header), "is not a valid header name")
        elif any(ord(sign) < 32 or ord(sign) == 127 for sign in value):
            words = "a header's value is one line without control characters"
            yield Problem(("telemetry", "headers", header), words)


def _url_problem(url: str, listen: str) -> str | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a valid URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return "must be a URL that begins with http:// or https:// and names a host"
    if parts.username or parts.password:
        return "must not hold a user name or password; put them under telemetry.headers"
    if parts.query or parts.fragment or re.search(r"\s", url):
        return "must end with the path: no '?', '#' or white space"
    if re.search(r"/v1/(traces|metrics|logs)/?$", parts.path):
        return "is the collector's address without /v1/...: Freehold adds the path of each signal"
    try:
        own = parse_listen(listen)
    except ConfigError:
        return None
    same = parts.hostname == own.host or (is_loopback(parts.hostname) and is_loopback(own.host))
    if same and port == own.port:
        return "is this Freehold itself: it would send to itself without end"
    return None
