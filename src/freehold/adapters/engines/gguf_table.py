"""The byte layout of GGUF files: metadata and tensor table of one file, never its weights.

Format: the GGUF specification of the ggml project, versions 2 and 3, little-endian. Files may be cut, corrupt
or hostile: what is read is bounded, nothing is allocated on a file's word, every fault is a `ModelFileError`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import BinaryIO, TypeVar

import msgspec

from freehold.core.model_file import ModelFileError, Scalar, Tensor, Value

FIRST_READ = 4 * 1024**2
MOST_READ = 256 * 1024**2
"""Metadata and tensor table beyond this are no model's. The largest vocabularies take some 10 MB."""

_STRING, _ARRAY = 8, 9
_LAYOUTS = {
    kind: struct.Struct(f"<{code}")
    for kind, code in {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"}.items()
} | {kind: struct.Struct(f"<{code}") for kind, code in {10: "Q", 11: "q", 12: "d"}.items()}
_U32, _U64 = _LAYOUTS[4], _LAYOUTS[10]
_MOST_KEYS, _LONGEST_NAME, _LONGEST_TEXT = 65_536, 65_535, 4 * 1024**2
_MOST_TENSORS = 1_000_000
_MOST_TEXTS = 8_000_000
_MOST_KEPT = 4096
"""Items of an array that is kept; per-layer lists have hundreds."""
_DEEPEST = 4
_MOST_DIMENSIONS = 8
_LARGEST = 1 << 62

# Tensor types by number: name, weights in a block, bytes of a block. Source: ggml's type table.
TYPES = {
    **{0: ("f32", 1, 4), 1: ("f16", 1, 2), 30: ("bf16", 1, 2), 28: ("f64", 1, 8)},
    **{24: ("i8", 1, 1), 25: ("i16", 1, 2), 26: ("i32", 1, 4), 27: ("i64", 1, 8)},
    **{2: ("q4_0", 32, 18), 3: ("q4_1", 32, 20), 6: ("q5_0", 32, 22), 7: ("q5_1", 32, 24)},
    **{8: ("q8_0", 32, 34), 9: ("q8_1", 32, 36), 20: ("iq4_nl", 32, 18), 39: ("mxfp4", 32, 17)},
    **{10: ("q2_k", 256, 84), 11: ("q3_k", 256, 110), 12: ("q4_k", 256, 144), 13: ("q5_k", 256, 176)},
    **{14: ("q6_k", 256, 210), 15: ("q8_k", 256, 292), 16: ("iq2_xxs", 256, 66), 17: ("iq2_xs", 256, 74)},
    **{18: ("iq3_xxs", 256, 98), 19: ("iq1_s", 256, 50), 21: ("iq3_s", 256, 110), 22: ("iq2_s", 256, 82)},
    **{23: ("iq4_xs", 256, 136), 29: ("iq1_m", 256, 56), 34: ("tq1_0", 256, 54), 35: ("tq2_0", 256, 66)},
    **{40: ("nvfp4", 64, 36)},
}

T = TypeVar("T")


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """What stands before the weights in one file."""

    metadata: dict[str, Value]
    tensors: tuple[Tensor, ...]
    tokens: int
    """Entries of the tokenizer's list."""
    expected_bytes: int
    """Size that the tensor table asks of this file."""
    digest: bytes


def parse_table(file: BinaryIO, size: int) -> Table:
    """The table of the file of `size` bytes that starts here. Raises ModelFileError."""
    window = _Window(file, size)
    tensor_count, key_count = window.whole(_head)
    metadata: dict[str, Value] = {}
    tokens = 0
    for _ in range(key_count):
        key, value, items = window.whole(_pair)
        if key == "tokenizer.ggml.tokens":
            tokens = items
        if value is not None and not key.startswith("tokenizer."):
            metadata[key] = value
    begin = window.at
    lines = [window.whole(_line) for _ in range(tensor_count)]
    digest = hashlib.sha256(repr(sorted(metadata.items())).encode())
    digest.update(window.data[begin : window.at])
    digest.update(b"%d %d" % (tokens, size))
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1024**2:
        raise ModelFileError(f"an alignment of {alignment!r}: the file is corrupt")
    start = -(-window.at // alignment) * alignment
    tensors, ends = _tensors(lines, size - start)
    return Table(
        metadata=metadata,
        tensors=tensors,
        tokens=tokens,
        expected_bytes=start + ends if lines else window.at,
        digest=digest.digest(),
    )


class _MoreError(Exception):
    """The window ends here; the file may go on."""


class _Window:
    """The beginning of a file, as much as was needed so far. `at` is where reading stands."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self.data = file.read(min(size, FIRST_READ))
        self.at = 0

    def whole(self, read: Callable[[_Window], T]) -> T:
        """One thing; read again from its beginning with a larger window when it did not fit."""
        start = self.at
        while True:
            try:
                return read(self)
            except (_MoreError, struct.error):
                self._grow()
                self.at = start

    def _grow(self) -> None:
        have = len(self.data)
        if have >= self._size:
            raise ModelFileError(
                "the file ends inside its metadata: it was cut, or is still being downloaded"
            )
        if have >= MOST_READ:
            raise ModelFileError(f"more than {MOST_READ:,} bytes of metadata: the file is corrupt")
        self.data += self._file.read(min(have, self._size - have))
        if len(self.data) == have:
            raise ModelFileError("the file became shorter while it was read")

    def number(self, layout: struct.Struct) -> int:
        found = layout.unpack_from(self.data, self.at)[0]
        self.at += layout.size
        return found

    def text(self, longest: int) -> str:
        length = self.number(_U64)
        if length > longest:
            raise ModelFileError(f"a text of {length:,} bytes in the metadata: the file is corrupt")
        self.skip(length)
        return self.data[self.at - length : self.at].decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        if count > self._size - self.at:
            raise ModelFileError(
                "the file ends inside its metadata: it was cut, or is still being downloaded"
            )
        self.at += count
        if self.at > len(self.data):
            raise _MoreError


def _head(window: _Window) -> tuple[int, int]:
    """How many tensors and how many keys follow."""
    if window.data[:4] != b"GGUF":
        if window.data[:4] == b"" or b"GGUF".startswith(window.data[:4]):
            raise ModelFileError("the file is empty, or was cut at its first bytes")
        raise ModelFileError("this is not a GGUF file")
    window.at = 4
    version = window.number(_U32)
    if version not in (2, 3):
        raise ModelFileError(f"GGUF version {version} is not supported (2 and 3 are); convert the file anew")
    tensors, keys = window.number(_U64), window.number(_U64)
    if keys > _MOST_KEYS or tensors > _MOST_TENSORS:
        raise ModelFileError(f"{keys:,} metadata keys and {tensors:,} tensors: the file is corrupt")
    return tensors, keys


def _pair(window: _Window) -> tuple[str, Value | None, int]:
    """A key, its value (None for texts of the tokenizer and long lists) and the number of its items."""
    key = window.text(_LONGEST_NAME)
    kind = window.number(_U32)
    if kind == _ARRAY:
        items = window.number(_U32), window.number(_U64)
        keep = not key.startswith("tokenizer.") and items[1] <= _MOST_KEPT
        return key, _array(window, *items, keep=keep), items[1]
    return key, _scalar(window, kind), 1


def _scalar(window: _Window, kind: int) -> Scalar:
    if kind == _STRING:
        return window.text(_LONGEST_TEXT)
    layout = _LAYOUTS.get(kind)
    if layout is None:
        raise ModelFileError(f"a metadata value of unknown type {kind}: the file is corrupt")
    return window.number(layout)


def _array(window: _Window, kind: int, count: int, depth: int = 0, *, keep: bool) -> Value | None:
    if kind in (_STRING, _ARRAY) and count > _MOST_TEXTS:
        raise ModelFileError(f"a list of {count:,} texts in the metadata: the file is corrupt")
    if kind == _ARRAY:
        if depth >= _DEEPEST:
            raise ModelFileError("lists nested too deep: the file is corrupt")
        for _ in range(count):
            _array(window, window.number(_U32), window.number(_U64), depth + 1, keep=False)
        return None
    if keep:
        return tuple(_scalar(window, kind) for _ in range(count))
    if kind == _STRING:
        _skip_texts(window, count)
    elif layout := _LAYOUTS.get(kind):
        window.skip(layout.size * count)
    else:
        raise ModelFileError(f"a list of unknown type {kind}: the file is corrupt")
    return None


def _skip_texts(window: _Window, count: int) -> None:
    """Past a vocabulary: the one loop here that runs hundreds of thousands of times."""
    data, at, length_of = window.data, window.at, _U64.unpack_from
    try:
        for _ in range(count):
            at += 8 + length_of(data, at)[0]
    except (struct.error, OverflowError):
        window.skip(min(at, _LARGEST) - window.at)  # past the file's end: it says so
        raise _MoreError from None
    window.skip(at - window.at)


class _Line(msgspec.Struct, frozen=True):
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


def _line(window: _Window) -> _Line:
    name = window.text(_LONGEST_NAME)
    dimensions = window.number(_U32)
    if dimensions > _MOST_DIMENSIONS:
        raise ModelFileError(f"tensor '{name}' with {dimensions} dimensions: the file is corrupt")
    shape = tuple(window.number(_U64) for _ in range(dimensions))
    return _Line(name, shape, window.number(_U32), window.number(_U64))


def _tensors(lines: list[_Line], data_bytes: int) -> tuple[tuple[Tensor, ...], int]:
    """The tensors in the file's order, and where the last one ends in the data."""
    offsets = sorted({line.offset for line in lines})
    following = dict(pairwise(offsets))
    tensors: list[Tensor] = []
    end = 0
    for line in lines:
        room = following.get(line.offset, max(line.offset, data_bytes)) - line.offset
        name, size = _size(line, room)
        if line.offset > _LARGEST or size > _LARGEST:
            raise ModelFileError(f"tensor '{line.name}' of {size:,} bytes: the file is corrupt")
        tensors.append(Tensor(line.name, size, line.shape, name))
        end = max(end, line.offset + size)
    return tuple(tensors), end


def _size(line: _Line, room: int) -> tuple[str, int]:
    """Name of the type and bytes. Of a type that is newer than this table, the room up to the next tensor."""
    known = TYPES.get(line.kind)
    if known is None:
        return f"type {line.kind}", room
    name, block, bytes_of_block = known
    row = line.shape[0] if line.shape else 1
    if row % block:
        raise ModelFileError(
            f"tensor '{line.name}': a row of {row} in blocks of {block}: the file is corrupt"
        )
    return name, prod(line.shape) // block * bytes_of_block
