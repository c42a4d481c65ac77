"""vLLM and SGLang: they take a stated share of each GPU at once and put the cache into what is left of it.
Source: vLLM's `gpu_memory_utilization` and SGLang's `mem_fraction_static`, as documented."""

from __future__ import annotations

from freehold.core.memory import MemoryNeed, MemoryPart
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.kv import row_bytes
from freehold.supervisor.memory.layers import layers_of
from freehold.supervisor.memory.run import DEVICE_CONTEXT_BYTES, Run

VLLM_SHARE, SGLANG_SHARE = 0.9, 0.88
WORK_BYTES = 2 * 1024**3
"""Activations and captured graphs of one GPU. A guess: engines' own forecasts err both ways."""
HOST_BYTES = 3 * 1024**3
"""Anonymous memory of one worker with its libraries. A guess."""


def share_of(run: Run) -> float:
    """Of each GPU's memory."""
    usual = SGLANG_SHARE if run.engine == "sglang" else VLLM_SHARE
    return min(max(run.gpu_memory if run.gpu_memory is not None else usual, 0.0), 1.0)


def token_bytes(model: ModelFile, run: Run) -> int:
    """Keys and values of one token in all layers that see the whole context."""
    return sum(
        row_bytes(run.kv_type_k, layer.k) + row_bytes(run.kv_type_v, layer.v)
        for layer in layers_of(model).blocks
        if not layer.windowed
    )


def estimate_share(model: ModelFile, run: Run) -> MemoryNeed:
    """The share is all that is taken, whatever the model: the cache gets the rest of it. When not even one
    slot's context fits in that rest, `note` says so and the need is what would be wanted."""
    devices = max(run.devices, 1)
    share = share_of(run)
    weights = -(-model.weights_bytes // devices)
    wanted = -(-token_bytes(model, run) * (run.context_total or model.context_length) // devices)
    least = weights + WORK_BYTES + DEVICE_CONTEXT_BYTES + wanted // max(run.slots, 1)
    parts: list[MemoryPart] = [MemoryPart(what="other", bytes=HOST_BYTES * devices)]
    short = False
    for device in range(devices):
        total = run.device_total_bytes[device] if device < len(run.device_total_bytes) else 0
        taken = int(share * total)
        short = short or taken < least
        rest = max(taken - weights - WORK_BYTES - DEVICE_CONTEXT_BYTES, wanted // max(run.slots, 1))
        parts += [
            MemoryPart(what="weights", bytes=weights, device=device),
            MemoryPart(what="compute", bytes=WORK_BYTES, device=device),
            MemoryPart(what="context", bytes=DEVICE_CONTEXT_BYTES, device=device),
            MemoryPart(what="kv", bytes=rest, device=device),
        ]
    note = f"takes {share:.0%} of each GPU at once"
    if short:
        note = f"{share:.0%} of a GPU is too little for it: weights and one call's context need more"
    return MemoryNeed(
        parts=tuple(parts), devices=devices, context=run.context_total, slots=max(run.slots, 1), note=note
    )
