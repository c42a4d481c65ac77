"""Bytes of recurrent state: the same for every length of context. Source: llama.cpp's
llama-memory-recurrent.cpp (f32, one state for each sequence)."""

from __future__ import annotations

from freehold.supervisor.memory.layers import Layer, Layers

_F32 = 4


def state_bytes(layers: Layers, slots: int, drafted: int = 0) -> tuple[int, ...]:
    """For each block. A model that drafts for itself keeps a state to go back to for each guessed token."""
    return tuple(_of_one(layer) * max(slots, 1) * (1 + drafted) for layer in layers.blocks)


def checkpoint_bytes(layers: Layers, window_cells_bytes: int) -> int:
    """One saved state of one slot: what cannot be computed again from the rest, that is the windowed layers'
    cache and the recurrent state."""
    return window_cells_bytes + sum(_of_one(layer) for layer in layers.blocks)


def _of_one(layer: Layer) -> int:
    return _F32 * (layer.conv + layer.state)
