"""Salted commitments: the log holds SHA-256(salt || body), so a body can be shown, or kept, per receipt.

The salt is derived, never stored: the first 16 bytes of HMAC-SHA256(secret, receipt id + "/" + part).
Showing one receipt's salt tells nothing about another's. Pure; the secret's file is in `keys`.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal, Protocol

Part = Literal["request", "response"]
SALT_BYTES = 16
_BLOCK_BYTES = 64


class Commitment(Protocol):
    """A hash object of `hashlib`, seeded with a salt."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take in the next part of the body."""
        ...

    def hexdigest(self) -> str:
        """The commitment over what was taken in so far."""
        ...


class Salts:
    """Derives salts from one secret. The keyed states of HMAC are prepared once and copied per call."""

    def __init__(self, secret: bytes) -> None:
        """`secret` must have at most 64 bytes (one SHA-256 block); 32 random bytes are right."""
        assert len(secret) <= _BLOCK_BYTES
        key = secret.ljust(_BLOCK_BYTES, b"\x00")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in key))

    def salt(self, receipt_id: str, part: Part) -> bytes:
        """16 bytes, to be disclosed together with the body."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{receipt_id}/{part}".encode("utf-8", "surrogatepass"))
        outer.update(inner.digest())
        return outer.digest()[:SALT_BYTES]

    def commitment(self, receipt_id: str, part: Part) -> Commitment:
        """A SHA-256 object seeded with the salt: `update` it with the body, then take `hexdigest`."""
        return sha256(self.salt(receipt_id, part))


def opens(commitment: str, salt: bytes, body: bytes) -> bool:
    """True when `salt` and `body` are what the hex `commitment` in a receipt was made from."""
    return sha256(salt + body).hexdigest() == commitment
