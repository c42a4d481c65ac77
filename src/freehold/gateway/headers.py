"""Which headers pass, in either direction. Pure.

Everything end-to-end passes (vendor headers, idempotency keys, rate limits, request ids); what belongs
to one hop, names a credential, or is ours to say does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"content-length",
    )
)
_NOT_UPSTREAM = _HOP | {
    b"host",
    b"expect",
    b"authorization",
    b"x-api-key",
    b"accept-encoding",  # answers must be readable here: usage is in them
    b"cookie",
    b"origin",
    b"referer",
    b"content-type",  # set with the body
}
OWN_PREFIX = b"x-freehold-"
"""Only we speak under this name, in either direction."""
_OWN_OR_POLICY = (OWN_PREFIX, b"access-control-")
"""Which web pages may read an answer is for our own Origin rule to say."""
_NOT_DOWNSTREAM = _HOP | {b"set-cookie", b"alt-svc", b"strict-transport-security", b"server"}
_VENDOR_PREFIXES = (b"anthropic-", b"openai-")
_NOTHING: frozenset[bytes] = frozenset()
_PLAIN_CONNECTION = (b"keep-alive", b"close", b"Keep-Alive", b"Close")
"""The usual values of `Connection`; they name no header that is not in `_HOP` anyway."""

Header = tuple[bytes, bytes]


def forwarded(headers: Sequence[Header]) -> bytes:
    """The client's headers that go upstream, as lines."""
    return forwarded_without(headers, _NOTHING, foreign=False)


def forwarded_without(headers: Sequence[Header], replaced: frozenset[bytes], *, foreign: bool) -> bytes:
    """The same less `replaced`; `foreign`: the upstream speaks another dialect, so the headers of the
    client's vendor mean nothing there."""
    dropped = _NOT_UPSTREAM | replaced | _named_by_connection(headers)
    return b"".join(
        [
            b"%b: %b\r\n" % line
            for line in headers
            if line[0] not in dropped
            and not line[0].startswith(OWN_PREFIX)
            and not (foreign and line[0].startswith(_VENDOR_PREFIXES))
        ]
    )


def returned(headers: Sequence[Header]) -> list[Header]:
    """The upstream's headers that go to the client."""
    dropped = _NOT_DOWNSTREAM
    if named := _named_by_connection(headers):
        dropped |= named
    return [line for line in headers if line[0] not in dropped and not line[0].startswith(_OWN_OR_POLICY)]


def returned_translated(headers: Sequence[Header]) -> list[Header]:
    """The same for an answer whose body is ours."""
    return [line for line in returned(headers) if not line[0].startswith(b"content-")]


def _named_by_connection(headers: Sequence[Header]) -> frozenset[bytes]:
    """Headers that `Connection` declares to be for this hop only (RFC 9110 §7.6.1)."""
    named = [value for name, value in headers if name == b"connection" and value not in _PLAIN_CONNECTION]
    if not named:
        return _NOTHING
    return frozenset(token.strip().lower() for value in named for token in value.split(b","))


_LONGEST_NUMBER = 16
"""Digits of a wait; hundreds would be infinite."""


def retry_after_s(headers: Mapping[bytes, bytes], now_ms: int) -> float | None:
    """Seconds that an upstream asks to wait: `retry-after-ms` (both vendors), else `retry-after` as seconds
    or as an HTTP date (RFC 9110 §10.2.3). None when it asks nothing, or nothing that can be read."""
    for name, per_s in ((b"retry-after-ms", 1000.0), (b"retry-after", 1.0)):
        said = headers.get(name, b"").strip()
        if said.replace(b".", b"", 1).isdigit() and len(said) <= _LONGEST_NUMBER:
            return float(said) / per_s
    said = headers.get(b"retry-after", b"")
    if not said:
        return None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rare, and slow to import

    try:
        until = parsedate_to_datetime(said.decode("latin-1"))
    except (ValueError, OverflowError):
        return None
    return max(0.0, until.timestamp() - now_ms / 1000)


@lru_cache(maxsize=4096)
def safe_value(text: str) -> bytes:
    """`text` as a header value: printable ASCII only, bounded."""
    return text.encode("ascii", "replace").translate(_PRINTABLE)[:512]


_PRINTABLE = bytes(code if 32 <= code < 127 else 63 for code in range(256))
