"""API keys: how they are hashed and named. Making new ones needs randomness and is in `cli.key`;
who may call is decided in `gateway.access`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from freehold.core.errors import ConfigError

_PREFIX = "sha256:"
_HASHED = re.compile(r"sha256:[0-9a-fA-F]{64}")
_SHORT = 8


def hash_key(key: str) -> str:
    """`sha256:HEX` of a key, the form that may stand in a file.

    A plain hash is enough here, unlike for passwords: `freehold key new` draws 190 random bits, which
    cannot be guessed whatever the speed.
    """
    return _PREFIX + hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def key_name(hashed: str) -> str:
    """The short name of a key in receipts: the first eight hex digits of its hash."""
    return hashed.removeprefix(_PREFIX)[:_SHORT]


def normal_hash(configured: str) -> str:
    """A configured key, in clear or hashed, as a lower-case `sha256:HEX`.

    Raises ConfigError, which never quotes the key, when it is malformed.
    """
    if configured.startswith(_PREFIX):
        if not _HASHED.fullmatch(configured):
            raise ConfigError("a hashed key is 'sha256:' and 64 hex digits, as `freehold key new` prints it")
        return configured.lower()
    if not configured or not all(33 <= ord(sign) < 127 for sign in configured):
        raise ConfigError("a key is empty, or contains white space or other characters no key has")
    return hash_key(configured)


def accepted_keys(configured: Iterable[str]) -> dict[str, str]:
    """SHA-256 (hex) of each accepted key, and its short name: what the door needs, and no key in clear.

    Looking a digest up needs no constant time: a caller cannot choose the digits of its key's hash.
    Raises ConfigError when a key is malformed.
    """
    hashes = [normal_hash(key) for key in configured]
    return {hashed.removeprefix(_PREFIX): key_name(hashed) for hashed in hashes}
