"""Protocol Buffers' wire format, as much of it as OTLP needs: fields of a message, and their inverse. Pure.

https://protobuf.dev/programming-guides/encoding: a field is a key (number << 3 | wire type) and a value.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_double = struct.Struct("<d")


class WireError(ValueError):
    """The bytes are no protobuf message."""


Field = tuple[int, int, int]
"""Number, then the value (varint, fixed) and 0; or, of bytes, where they begin and where they end."""


def fields(data: bytes, at: int, end: int) -> Iterator[Field]:
    """The fields of the message in `data[at:end]`, in their order. Raises WireError.

    Of a field with bytes the third number is its end, which is never 0; of all others it is 0.
    """
    while at < end:
        key, at = _varint(data, at, end)
        number, kind = key >> 3, key & 7
        if kind == _BYTES:
            length, at = _varint(data, at, end)
            stop = at + length
            if stop > end:
                raise WireError("a field is longer than its message")
            yield number, at, stop
            at = stop
        elif kind == _VARINT:
            value, at = _varint(data, at, end)
            yield number, value, 0
        elif kind in (_FIXED64, _FIXED32):
            stop = at + (8 if kind == _FIXED64 else 4)
            if stop > end:
                raise WireError("a number is cut off")
            yield number, int.from_bytes(data[at:stop], "little"), 0
            at = stop
        else:
            raise WireError(f"there is no wire type {kind} in OTLP")
        if not number:
            raise WireError("a field has no number")


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    if at < end and data[at] < 128:  # nearly always
        return data[at], at + 1
    value = shift = 0
    for position in range(at, min(end, at + _LONGEST_VARINT)):
        byte = data[position]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + 1
        shift += 7
    raise WireError("a number is cut off, or too long")


def signed(value: int) -> int:
    """An int64 or sfixed64 as it was meant."""
    return value - (1 << 64) if value >> 63 else value


def as_double(value: int) -> float:
    """A fixed64 as the double that it is."""
    return _double.unpack(value.to_bytes(8, "little"))[0]


def varint(number: int, value: int) -> bytes:
    """A whole number or bool as a field; negative ones as int64."""
    return _key(number, _VARINT) + _write_varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def fixed64(number: int, value: int) -> bytes:
    """Eight bytes as a field: times in OTLP."""
    return _key(number, _FIXED64) + value.to_bytes(8, "little")


def double(number: int, value: float) -> bytes:
    """A double as a field."""
    return _key(number, _FIXED64) + _double.pack(value)


def blob(number: int, value: bytes) -> bytes:
    """Bytes, a text in UTF-8, or a message, as a field."""
    return _key(number, _BYTES) + _write_varint(len(value)) + value


def _key(number: int, kind: int) -> bytes:
    return _write_varint(number << 3 | kind)


def _write_varint(value: int) -> bytes:
    if value < 128:
        return bytes((value,))
    parts = bytearray()
    while value >= 128:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
