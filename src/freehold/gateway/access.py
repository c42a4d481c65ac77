"""Who may call: API keys, and on loopback without keys the Host and Origin checks that keep
web pages (DNS rebinding, cross-site requests) away from the port. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from freehold.core.errors import CallError

_LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The door's rules. `keys` maps SHA-256 hex of an accepted key to its short name; `hosts` holds the
    accepted Host header values when there are no keys (with and without port)."""

    keys: Mapping[str, str] = {}
    hosts: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, keys: Mapping[str, str], host: str, port: int) -> Access:
        """Rules for a listener on `host`:`port`."""
        names = {*_LOOPBACK_NAMES, f"[{host}]" if ":" in host else host}
        hosts = {name.encode() for name in names} | {f"{name}:{port}".encode() for name in names}
        return cls(keys=keys, hosts=frozenset(hosts))


class Admitted(msgspec.Struct, frozen=True):
    """The caller may go on; `key_name` is the short name of its key, empty without keys."""

    key_name: str = ""


_OPEN = Admitted()


def admit(access: Access, headers: Mapping[bytes, bytes]) -> Admitted | CallError:
    """Judge a request by its headers (lower-case names).

    With keys, the key decides: a page in a browser does not have it. Without keys, only requests
    that name this machine and come from no foreign page pass.
    """
    if access.keys:
        presented = presented_key(headers)
        if presented is None:
            return _refusal("no API key: send 'Authorization: Bearer KEY' or 'x-api-key: KEY'")
        name = access.keys.get(hashlib.sha256(presented).hexdigest())
        if name is None:
            return _refusal(
                "this API key is not accepted here: check auth.keys, or make one with 'freehold key new'"
            )
        return Admitted(name)
    host = headers.get(b"host")
    if host is None or host.lower() not in access.hosts:
        return CallError(
            kind="permission",
            status=403,
            code="host_not_allowed",
            message="the Host header does not name this machine; while no API keys are set, it must",
        )
    origin = headers.get(b"origin")
    foreign = headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
    if foreign or (origin is not None and not _own_page(access, origin)):
        return CallError(
            kind="permission",
            status=403,
            code="origin_not_allowed",
            message="calls from web pages of other origins are refused while no API keys are configured",
        )
    return _OPEN


def presented_key(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The API key that a request carries, in either vendor's header."""
    value = headers.get(b"authorization")
    if value is not None:
        scheme, _, key = value.partition(b" ")
        if scheme.lower() == b"bearer" and key:
            return key.strip()
    return headers.get(b"x-api-key")


def _own_page(access: Access, origin: bytes) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:  # half a bracket, bytes that are no ASCII
        return False
    return parts.scheme in (b"http", b"https") and parts.netloc.lower() in access.hosts


def _refusal(message: str) -> CallError:
    return CallError(kind="authentication", status=401, code="invalid_api_key", message=message)
