"""Bytes of recurrent state: the same for every length of context. Source: llama.cpp's
llama-memory-recurrent.cpp (f32, one state for each sequence)."""

from __future__ import annotations

from freehold.supervisor.memory.layers import Layers

_F32 = 4


def state_bytes(layers: Layers, slots: int, drafted: int = 0) -> tuple[int, ...]:
    """For each block. A model that drafts for itself keeps a state to go back to for each guessed token."""
    return tuple(_F32 * (layer.conv + layer.state) * max(slots, 1) * (1 + drafted) for layer in layers.blocks)


def sequence_bytes(layers: Layers) -> int:
    """The state of one sequence in all blocks."""
    return sum(state_bytes(layers, 1))
