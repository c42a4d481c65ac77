"""Bytes of scratch memory for a graph: a safe upper bound, since the allocator's high-water mark has no
closed form. An engine's dry run knows better. Constants: measured, see `python -m benchmarks memory`."""

from __future__ import annotations

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.cells import Cells
from freehold.supervisor.memory.run import Run

_F32 = 4


def compute_bytes(model: ModelFile, run: Run, cells: Cells) -> int:
    """For one device. Flat bound by Unsloth Studio: 1.15 (16 E ub + 4 V ub (outputs - 1)), with the masks of
    the context; a cache that is not f16 is unpacked for each product."""
    width, ubatch = model.number("embedding_length"), cells.ubatch
    flat = 1.15 * (16 * width * ubatch + _F32 * model.vocabulary * max(run.slots, 1))
    mask = 1.5 * 2 * ubatch * cells.context_total
    return int(flat + mask)


def output_bytes(model: ModelFile, run: Run) -> int:
    """Logits in host memory: V x 4 for each slot. Source: llama-context.cpp (`output_reserve`)."""
    return _F32 * model.vocabulary * max(run.slots, 1)
