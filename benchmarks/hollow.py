"""Hollow GGUF files: true hyper-parameters and tensor tables, and a hole where the weights would be.

A sparse file of some MB stands for a model of hundreds of GB. An engine that loads it has a model of zeros,
good for sizes and nothing else. The families are in `benchmarks.families`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from freehold.adapters.engines.gguf_table import TYPES

Value = str | bool | int | float | Sequence[int] | Sequence[str] | Sequence[bool]

_NUMBERS = {name: (number, block, size) for number, (name, block, size) in TYPES.items()}
_ALIGNMENT = 32


@dataclass
class Hollow:
    """A model to be written. Keys without a dot before them get the architecture's name in front."""

    architecture: str
    metadata: dict[str, Value]
    tokens: int
    tensors: list[tuple[str, tuple[int, ...], str]] = field(
        default_factory=list[tuple[str, tuple[int, ...], str]]
    )
    """Name, shape with the fastest dimension first, type."""
    weights: str = "q4_k"
    """Type of matrices whose rows it divides; others are q8_0 or f16."""

    def add(self, name: str, *shape: int, kind: str = "") -> None:
        """A tensor, of a type as quantizers choose it when none is named."""
        self.tensors.append((name, shape, kind or self._kind(name, shape)))

    def _kind(self, name: str, shape: tuple[int, ...]) -> str:
        if len(shape) == 1 or name.endswith(("_norm.weight", "ffn_gate_inp.weight", "conv1d.weight")):
            return "f32"
        for kind in (self.weights, "q8_0"):
            if shape[0] % _NUMBERS[kind][1] == 0:
                return kind
        return "f16"

    def write(self, path: Path) -> Path:
        """Some milliseconds for each 100 000 tokens. Returns the path."""
        keys: dict[str, Value] = {"general.architecture": self.architecture, "general.name": "hollow"}
        keys |= {
            k if k.startswith("general.") else f"{self.architecture}.{k}": v for k, v in self.metadata.items()
        }
        keys |= _vocabulary(self.tokens)
        head = [b"GGUF", struct.pack("<IQQ", 3, len(self.tensors), len(keys))]
        head += [_text(key) + _value(value) for key, value in keys.items()]
        offset = 0
        for name, shape, kind in self.tensors:
            number, block, size = _NUMBERS[kind]
            count = prod(shape) // block * size
            dims = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
            head.append(_text(name) + dims + struct.pack("<IQ", number, offset))
            offset += -(-count // _ALIGNMENT) * _ALIGNMENT
        data = b"".join(head)
        start = -(-len(data) // _ALIGNMENT) * _ALIGNMENT
        path.write_bytes(data)
        os.truncate(path, start + offset)
        return path


def _vocabulary(count: int) -> Mapping[str, Value]:
    """A byte-level tokenizer that an engine takes: 256 bytes, some marks, and fillers."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in kept}
    others = (byte for byte in range(256) if byte not in letters)
    letters |= {byte: chr(256 + i) for i, byte in enumerate(others)}
    tokens = ["<|end|>", "<|im_start|>", "<|im_end|>", *(letters[byte] for byte in range(256)), "th"]
    known = len(tokens)
    tokens += [f"<|unused_{i}|>" for i in range(count - known)]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens[:count],
        "tokenizer.ggml.token_type": [
            3,
            3,
            3,
            *(1 for _ in range(known - 3)),
            *(3 for _ in range(count - known)),
        ],
        "tokenizer.ggml.merges": ["t h"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 2,
    }


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    head = struct.pack("<I", 9)
    if value and isinstance(value[0], str):
        return head + struct.pack("<IQ", 8, len(value)) + b"".join(_text(str(item)) for item in value)
    if value and isinstance(value[0], bool):
        return head + struct.pack(f"<IQ{len(value)}?", 7, len(value), *value)
    return head + struct.pack(f"<IQ{len(value)}i", 5, len(value), *value)
