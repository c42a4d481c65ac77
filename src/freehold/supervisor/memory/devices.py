"""What a device needs beside weights and caches. No GPU was at hand to measure it: bounds from reading."""

from __future__ import annotations

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.cells import Cells
from freehold.supervisor.memory.compute import compute_bytes, mask_bytes
from freehold.supervisor.memory.layers import Layers
from freehold.supervisor.memory.run import Run
from freehold.supervisor.memory.weights import Weights

_COPIES = 4
"""Inputs of a graph are kept so often when several devices work on micro-batches at the same time. Source:
ggml-backend.cpp (`GGML_SCHED_MAX_COPIES`)."""
_F16, _F32 = 2, 4


def device_compute_bytes(model: ModelFile, layers: Layers, cells: Cells, run: Run, weights: Weights) -> int:
    """For each device that holds layers."""
    total = compute_bytes(model, layers, cells, run)
    if run.devices > 1:
        total += (_COPIES - 1) * _input_bytes(model, layers, cells, run)
    if run.op_offload:
        total += weights.largest_host
    if run.kv_type_k not in ("f16", "bf16", "f32") or run.kv_type_v not in ("f16", "bf16", "f32"):
        total += _unpacked_bytes(layers, cells)
    return total


def host_compute_bytes(model: ModelFile, layers: Layers, cells: Cells, run: Run, *, works: bool) -> int:
    """Of the host: as of any device when it holds layers, else for the graph's inputs only."""
    if works:
        return compute_bytes(model, layers, cells, run)
    return _input_bytes(model, layers, cells, run)


def _input_bytes(model: ModelFile, layers: Layers, cells: Cells, run: Run) -> int:
    embedded = 2 * _F32 * model.number("embedding_length") * cells.ubatch
    return mask_bytes(layers, cells, flash=run.flash) + embedded


def _unpacked_bytes(layers: Layers, cells: Cells) -> int:
    """A packed cache is unpacked to f16 for one layer at a time. Source: claimed by Unsloth Studio, whose
    measured 2.25 bytes for each token and element of the width are about this."""
    widest = max((layer.k + max(layer.v, layer.k) for layer in layers.blocks), default=0)
    return _F16 * widest * cells.context_total
