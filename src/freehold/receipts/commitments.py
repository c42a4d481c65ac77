"""Salted commitments: the log holds SHA-256(salt || body), so a body can be shown, or kept, per receipt.

The salt is derived, never stored: 16 bytes of BLAKE2b keyed with the secret (RFC 7693) over
receipt id + "/" + part; one call of it costs half a microsecond, where HMAC-SHA256 costs two.
Showing one receipt's salt tells nothing about another's. Pure; the secret's file is in `keys`.
"""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import Literal, Protocol

Part = Literal["request", "response"]
SALT_BYTES = 16


class Commitment(Protocol):
    """A hash object of `hashlib`, seeded with a salt."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take in the next part of the body."""
        ...

    def hexdigest(self) -> str:
        """The commitment over what was taken in so far."""
        ...


class Salts:
    """Derives salts from one secret."""

    def __init__(self, secret: bytes) -> None:
        """`secret`: at most 64 bytes; 32 random bytes are right."""
        self._secret = secret

    def salt(self, receipt_id: str, part: Part) -> bytes:
        """16 bytes, to be disclosed together with the body."""
        named = f"{receipt_id}/{part}".encode("utf-8", "surrogatepass")
        return blake2b(named, key=self._secret, digest_size=SALT_BYTES).digest()

    def commitment(self, receipt_id: str, part: Part) -> Commitment:
        """A SHA-256 object seeded with the salt: `update` it with the body, then take `hexdigest`."""
        named = f"{receipt_id}/{part}".encode("utf-8", "surrogatepass")
        return sha256(blake2b(named, key=self._secret, digest_size=SALT_BYTES).digest())


def opens(commitment: str, salt: bytes, body: bytes) -> bool:
    """True when `salt` and `body` are what the hex `commitment` in a receipt was made from."""
    return sha256(salt + body).hexdigest() == commitment
