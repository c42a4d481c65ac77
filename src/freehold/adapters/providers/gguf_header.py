"""Reads what a GGUF file says of itself: name, architecture, context length. Never its weights.

Format: the GGUF specification of the ggml project, versions 2 and 3, little-endian. The file may be cut,
corrupt or hostile: reading is bounded in bytes and every fault becomes a `GgufError`.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import msgspec

from freehold.core.errors import FreeholdError

READ_LIMIT = 4 * 1024 * 1024
"""Bytes of metadata looked at. The keys wanted here stand before the vocabulary, in the first kilobytes."""

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_LONGEST_KEY = 65_535
_MOST_KEYS = 100_000
_DEEPEST_ARRAY = 8

Value = str | int | float | bool | None


class GgufError(FreeholdError):
    """The file is not a GGUF file that can be read; the text says why."""


class GgufHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a GGUF file's metadata that tells models apart."""

    architecture: str
    name: str | None = None
    size_label: str | None = None
    """For a person, such as `8B`."""
    kind: str = "model"
    """`general.type`: `model`, or `adapter`, `mmproj`, `imatrix` and the like, which serve nothing alone."""
    context_length: int | None = None
    """Tokens that the model was trained for."""
    block_count: int | None = None


def read_header(path: Path) -> GgufHeader:
    """Raises `GgufError` for a file that is no readable GGUF, OSError when it cannot be opened."""
    with path.open("rb") as file:
        return parse_header(file)


def parse_header(file: BinaryIO) -> GgufHeader:
    """The header of the file that starts here. Raises `GgufError`."""
    values = _read_values(_Reader(file))
    architecture = values.get("general.architecture")
    if not isinstance(architecture, str) or not architecture:
        raise GgufError("no architecture is named in the metadata")
    return GgufHeader(
        architecture=architecture,
        name=_text(values.get("general.name")),
        size_label=_text(values.get("general.size_label")),
        kind=_text(values.get("general.type")) or "model",
        context_length=_count(values.get(f"{architecture}.context_length")),
        block_count=_count(values.get(f"{architecture}.block_count")),
    )


def _text(value: Value) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


class _Reader:
    """Takes bytes in order, up to the limit."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = READ_LIMIT

    def take(self, count: int) -> bytes:
        if count > self._left:
            raise _LimitError(f"the metadata is longer than {READ_LIMIT:,} bytes")
        self._left -= count
        data = self._file.read(count)
        if len(data) < count:
            raise GgufError("the file ends inside its metadata: it was cut, or is still being downloaded")
        return data

    def number(self, layout: str) -> int:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def text(self, longest: int = READ_LIMIT) -> str:
        length = self.number("<Q")
        if length > longest:
            raise GgufError(f"a text of {length:,} bytes in the metadata: the file is corrupt")
        return self.take(length).decode("utf-8", "replace")


class _LimitError(GgufError):
    """Enough was read; what came before it still counts."""


def _read_values(reader: _Reader) -> dict[str, Value]:
    if reader.take(4) != b"GGUF":
        raise GgufError("this is not a GGUF file")
    version = reader.number("<I")
    if version not in (2, 3):
        raise GgufError(f"GGUF version {version} is not supported (2 and 3 are); convert the file anew")
    reader.number("<Q")  # how many tensors
    keys = reader.number("<Q")
    if keys > _MOST_KEYS:
        raise GgufError(f"{keys:,} metadata keys: the file is corrupt")
    values: dict[str, Value] = {}
    try:
        for _ in range(keys):
            key = reader.text(_LONGEST_KEY)
            if key.startswith("tokenizer.") and "general.architecture" in values:
                break  # the vocabulary: writers put it last, and nothing after it is wanted
            values[key] = _read_value(reader, reader.number("<I"), 0)
    except _LimitError:
        pass
    return values


def _read_value(reader: _Reader, kind: int, depth: int) -> Value:
    if kind == _STRING:
        return reader.text()
    if kind == _ARRAY:
        _skip_array(reader, depth)
        return None
    layout = _SCALARS.get(kind)
    if layout is None:
        raise GgufError(f"a metadata value of unknown type {kind}: the file is corrupt")
    return reader.number(layout)


def _skip_array(reader: _Reader, depth: int) -> None:
    if depth >= _DEEPEST_ARRAY:
        raise GgufError("arrays nested too deep: the file is corrupt")
    kind, count = reader.number("<I"), reader.number("<Q")
    if layout := _SCALARS.get(kind):
        reader.take(struct.calcsize(layout) * count)
        return
    for _ in range(count):
        _read_value(reader, kind, depth + 1)
