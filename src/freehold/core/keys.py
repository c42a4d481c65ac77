"""API keys: how they are hashed, compared and named. Making new ones needs randomness: `cli.key`."""

from __future__ import annotations

import hashlib
import hmac
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


class AcceptedKeys:
    """The keys that may call, immutable. Holds hashes only, so a dump of memory shows no key."""

    def __init__(self, keys: Iterable[str]) -> None:
        """`keys` as configured: in clear or as `sha256:HEX`. Raises ConfigError when one is malformed."""
        self._hashes = tuple(dict.fromkeys(normal_hash(key) for key in keys))

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def match(self, key: str) -> str | None:
        """The short name of `key` when it is accepted, else None.

        Looks at every hash in constant time, so the answer's delay tells nothing about which one is near.
        """
        offered = hash_key(key)
        found: str | None = None
        for hashed in self._hashes:
            if hmac.compare_digest(offered, hashed):
                found = hashed
        return key_name(found) if found else None


def normal_hash(configured: str) -> str:
    """A configured key as a lower-case `sha256:HEX`. Raises ConfigError, which never quotes the key."""
    if configured.startswith(_PREFIX):
        if not _HASHED.fullmatch(configured):
            raise ConfigError("a hashed key is 'sha256:' and 64 hex digits, as `freehold key new` prints it")
        return configured.lower()
    if not configured or configured != configured.strip():
        raise ConfigError("a key is empty, or begins or ends with white space")
    return hash_key(configured)
