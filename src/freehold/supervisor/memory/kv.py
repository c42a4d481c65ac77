"""Bytes of keys and values. Source: llama.cpp's llama-kv-cache.cpp."""

from __future__ import annotations

from freehold.supervisor.memory.cells import Cells
from freehold.supervisor.memory.layers import Layers

# Types of a cache: elements in a block, bytes of a block. Source: ggml's type table.
_BLOCKS = {
    "f32": (1, 4),
    "f16": (1, 2),
    "bf16": (1, 2),
    "q8_0": (32, 34),
    "q4_0": (32, 18),
    "q4_1": (32, 20),
    "iq4_nl": (32, 18),
    "q5_0": (32, 22),
    "q5_1": (32, 24),
    "fp8": (1, 1),
}
KV_TYPES = tuple(_BLOCKS)


def row_bytes(kind: str, elements: int) -> int:
    """Bytes of so many elements; of a type that is not known, those of f32, which is the largest."""
    block, size = _BLOCKS.get(kind.lower(), (1, 4))
    return -(-elements // block) * size


def kv_bytes(layers: Layers, cells: Cells, kind_k: str, kind_v: str, *, flash: bool) -> tuple[int, ...]:
    """For each block: streams x cells x (a token's key + its value). Without flash attention the values stand
    in rows of the widest layer's length."""
    found: list[int] = []
    for layer in layers.blocks:
        v = layer.v if flash or not layer.v else layers.widest_v
        token = row_bytes(kind_k, layer.k) + row_bytes(kind_v, v)
        found.append(cells.streams * (cells.window if layer.windowed else cells.full) * token)
    return tuple(found)
