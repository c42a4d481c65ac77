"""GGUF headers: what is read, and that no file, however broken, does more than raise `GgufError`."""

from __future__ import annotations

import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import gguf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.adapters.providers.gguf_header import (
    READ_LIMIT,
    GgufError,
    GgufHeader,
    parse_header,
    read_header,
)
from freehold.testing.tiny_model import model_path


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def header(*pairs: tuple[str, int, bytes], version: int = 3, keys: int | None = None) -> io.BytesIO:
    start = b"GGUF" + struct.pack("<IQQ", version, 0, len(pairs) if keys is None else keys)
    return io.BytesIO(start + b"".join(text(k) + struct.pack("<I", kind) + raw for k, kind, raw in pairs))


LLAMA = ("general.architecture", 8, text("llama"))


def test_the_tiny_model_tells_its_name_architecture_and_context() -> None:
    assert read_header(model_path()) == GgufHeader(
        architecture="llama", name="freehold-tiny", context_length=262_144, block_count=1
    )


def test_a_file_written_by_the_reference_package(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_name("Qwen 3")
    writer.add_size_label("8B")
    writer.add_type("adapter")
    writer.add_tags(["a", "b"])
    writer.add_context_length(40_960)
    writer.add_block_count(36)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    assert read_header(path) == GgufHeader(
        architecture="qwen3",
        name="Qwen 3",
        size_label="8B",
        kind="adapter",
        context_length=40_960,
        block_count=36,
    )


def test_what_follows_the_vocabulary_is_not_read() -> None:
    endless = struct.pack("<IQ", 8, 2**60)  # an array of 2^60 strings
    assert parse_header(header(LLAMA, ("tokenizer.ggml.tokens", 9, endless))).architecture == "llama"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (io.BytesIO(b""), "cut"),
        (io.BytesIO(b"PK\x03\x04 some zip archive"), "not a GGUF"),
        (header(LLAMA, version=1), "version 1 is not supported"),
        (header(version=0x03000000), "not supported"),  # big-endian
        (header(), "no architecture"),
        (header(keys=2**63), "corrupt"),
        (header(LLAMA, keys=2), "cut"),
        (header(("x", 99, b""), LLAMA), "unknown type 99"),
        (header(("x", 8, struct.pack("<Q", 2**62))), "corrupt"),
        (header(("x", 9, struct.pack("<IQ", 9, 1) * 20)), "nested too deep"),
        (header(("general.architecture", 4, struct.pack("<I", 7))), "no architecture"),
    ],
)
def test_a_broken_file_is_named_as_such(file: io.BytesIO, message: str) -> None:
    with pytest.raises(GgufError, match=message):
        parse_header(file)


def test_metadata_without_end_is_given_up_but_what_was_read_counts() -> None:
    long_array = struct.pack("<IQ", 0, READ_LIMIT * 2) + bytes(READ_LIMIT * 2)
    assert parse_header(header(LLAMA, ("x", 9, long_array))).architecture == "llama"


@given(st.binary(max_size=300))
def test_noise_never_does_worse_than_an_error(noise: bytes) -> None:
    with contextlib.suppress(GgufError):
        parse_header(io.BytesIO(b"GGUF\x03\x00\x00\x00" + noise))


WHOLE = header(
    LLAMA, ("general.name", 8, text("n")), ("llama.context_length", 4, struct.pack("<I", 7))
).getvalue()


@given(st.data())
def test_one_wrong_byte_never_does_worse_than_an_error(data: Any) -> None:
    place = data.draw(st.integers(0, len(WHOLE) - 1))
    broken = WHOLE[:place] + bytes([data.draw(st.integers(0, 255))]) + WHOLE[place + 1 :]
    with contextlib.suppress(GgufError):
        parse_header(io.BytesIO(broken))


@given(st.integers(0, len(WHOLE) - 1))
def test_a_cut_file_is_told_to_be_cut(length: int) -> None:
    with pytest.raises(GgufError, match="cut"):
        parse_header(io.BytesIO(WHOLE[:length]))
