"""A kept answer, as it goes to the client again. A value; and its bytes on disk.

The head holds only what any client may get: ids of the original request, limits and cookies stay away.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from freehold.cache.keys import Form
from freehold.core.usage import Usage

Header = tuple[bytes, bytes]

_KEPT_HEADERS = frozenset((b"content-type", b"content-language", b"x-freehold-lossy"))
_OVERHEAD_BYTES = 600
"""What an entry takes beside its bytes: objects, its place in the index."""


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with what it cost when a model gave it. `body`: what the client got, events as they were."""

    form: Form
    status: int
    headers: tuple[Header, ...]
    body: bytes
    receipt: str
    """Id of the call that the model answered."""
    deployment: str
    """Where it was answered."""
    model: str = ""
    """The upstream's name of its model."""
    finish: str = ""
    """Why the answer ended, in the upstream's word."""
    usage: Usage = Usage()
    cost_nanos: int = 0
    """Of that call; a hit saves as much."""
    stored_ms: int
    expires_ms: int

    @property
    def size_bytes(self) -> int:
        """Roughly what it takes in memory."""
        return len(self.body) + _OVERHEAD_BYTES

    def age_s(self, now_ms: int) -> int:
        """Whole seconds since it was stored, never negative."""
        return max(0, (now_ms - self.stored_ms) // 1000)


def kept_headers(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Of an answer's headers (lower-case names) those that are kept with it."""
    return tuple(line for line in headers if line[0] in _KEPT_HEADERS)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Stored).decode


def pack(stored: Stored) -> bytes:
    """For the disk."""
    return _encode(stored)


def unpack(data: bytes) -> Stored | None:
    """The inverse of `pack`; None for what this version did not write."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
