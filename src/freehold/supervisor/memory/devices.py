"""What devices need beside weights and caches, and what is left to the host then.

Checked against dry runs with one and two devices that the CPU stood in for; no real GPU was at hand.
"""

from __future__ import annotations

from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.cells import Cells
from freehold.supervisor.memory.compute import compute_bytes, input_bytes
from freehold.supervisor.memory.layers import Layers
from freehold.supervisor.memory.places import Places
from freehold.supervisor.memory.run import Run
from freehold.supervisor.memory.weights import Weights

_COPIES = 4
"""Source: ggml-backend.cpp (`GGML_SCHED_MAX_COPIES`)."""
_F16 = 2
_UNPACKED = ("f16", "bf16", "f32")


def copies_of(run: Run, places: Places) -> int:
    """How often the inputs of a graph are kept: several devices work at the same time only when they hold
    everything. Source: llama-context.cpp (`pipeline_parallel`)."""
    everything = run.kv_offload and not run.cpu_moe and not run.tensor_places and None not in places.layers
    return _COPIES if run.devices > 1 and everything else 1


def device_compute_bytes(
    what: tuple[ModelFile, Layers, Cells, Run], places: Places, weights: Weights, device: int
) -> int:
    """For a device that holds layers."""
    model, layers, cells, run = what
    output = places.output == device
    total = compute_bytes(model, layers, cells, run, copies=copies_of(run, places), output=output)
    if run.op_offload:
        total += weights.largest_host
    if run.kv_type_k not in _UNPACKED or run.kv_type_v not in _UNPACKED:
        total += _unpacked_bytes(layers, cells)
    return total


def host_compute_bytes(what: tuple[ModelFile, Layers, Cells, Run], places: Places, weights: Weights) -> int:
    """Of the host: as of any device when it holds weights or caches, else for the graph's inputs only."""
    model, layers, cells, run = what
    if places.output is None:
        return compute_bytes(model, layers, cells, run)
    if weights.host_read_per_token > 0 or not run.kv_offload:
        return compute_bytes(model, layers, cells, run, output=False)
    return input_bytes(model, layers, cells, run, copies=copies_of(run, places))


def _unpacked_bytes(layers: Layers, cells: Cells) -> int:
    """A packed cache is unpacked to f16 for one layer at a time. Source: claimed by Unsloth Studio, whose
    measured 2.25 bytes for each token and element of the width are about this."""
    widest = max((layer.k + max(layer.v, layer.k) for layer in layers.blocks), default=0)
    return _F16 * widest * cells.context_total
