"""How many tokens the caches of a run have room for. Source: llama.cpp's llama-context.cpp and
llama-kv-cache-iswa.cpp, as of b11549 and 0.7.0 (b11669)."""

from __future__ import annotations

import msgspec

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.run import Run

PAD = 256


def padded(count: int) -> int:
    """Up to the next whole unit of cells."""
    return -(-count // PAD) * PAD


class Cells(msgspec.Struct, frozen=True, kw_only=True):
    """Room for tokens."""

    full: int
    """In each stream, for layers that see the whole context."""
    window: int
    """In each stream, for windowed layers."""
    streams: int
    """Caches of their own: one for each slot, or one that all share."""
    ubatch: int
    """Tokens that are worked on at once, at most."""

    @property
    def context_total(self) -> int:
        return self.full * self.streams


def cells_of(model: ModelFile, run: Run, window: int) -> Cells:
    """The context is cut into equal shares for the slots unless they share one cache; both are padded."""
    slots = max(run.slots, 1)
    wanted = padded(run.context_total or model.context_length or 4096)
    streams = 1 if run.unified_kv else slots
    full = wanted if run.unified_kv else max(padded(wanted // slots), PAD)
    ubatch = max(min(run.ubatch, run.batch, full * streams), 1)
    look_back = window * (slots if run.unified_kv else 1) + ubatch
    return Cells(
        full=full,
        window=full if run.swa_full else min(padded(min(full, look_back)), padded(full)),
        streams=streams,
        ubatch=ubatch,
    )
