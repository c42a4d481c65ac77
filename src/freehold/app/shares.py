"""vLLM and SGLang take a share of each GPU at once: what they need depends on which they get. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, islice

import msgspec

from freehold.core.memory import GpuMemory, MachineMemory, MemoryNeed, MemoryPart
from freehold.core.model_file import ModelFile
from freehold.core.servers import ServerSpec
from freehold.supervisor.memory import Run, estimate
from freehold.supervisor.memory.shares import HOST_BYTES, share_of

_PARALLEL = ("--tensor-parallel-size", "-tp", "--tp-size", "--tp")
_MOST_CHOICES = 64


def share_ways(spec: ServerSpec, machine: MachineMemory, model: ModelFile | None) -> tuple[MemoryNeed, ...]:
    """A way for each choice of as many GPUs as it wants, the smaller first. `model` None: it is not on this
    machine yet. Without any GPU nothing is known."""
    count = gpus_wanted(spec.args)
    if not machine.gpus:
        return (MemoryNeed(source="unknown", note="there is no GPU that it may use"),)
    if len(machine.gpus) < count:
        return (_way(spec, machine.gpus[:1] * count, model),)
    found = [_way(spec, choice, model) for choice in islice(combinations(machine.gpus, count), _MOST_CHOICES)]
    return tuple(sorted(found, key=lambda way: (way.vram_bytes, way.gpus)))


def gpus_wanted(args: Sequence[str]) -> int:
    """Over how many GPUs the engine's own arguments spread the model; 1 when they do not say."""
    for position, word in enumerate(args):
        name, _, value = word.partition("=")
        if name in _PARALLEL:
            said = value or (args[position + 1] if position + 1 < len(args) else "")
            return max(1, int(said)) if said.isdigit() else 1
    return 1


def _way(spec: ServerSpec, gpus: Sequence[GpuMemory], model: ModelFile | None) -> MemoryNeed:
    run = Run(
        engine="sglang" if spec.engine == "sglang" else "vllm",
        context_total=spec.context * spec.slots,
        slots=spec.slots,
        devices=len(gpus),
        gpu_memory=spec.gpu_memory,
        device_total_bytes=tuple(gpu.total_bytes for gpu in gpus),
        vendor=gpus[0].vendor,
    )
    indexes = tuple(gpu.index for gpu in gpus)
    if model is not None:
        return msgspec.structs.replace(estimate(model, run), gpus=indexes)
    share = share_of(run)
    taken = [
        MemoryPart(what="other", bytes=int(share * gpu.total_bytes), device=n) for n, gpu in enumerate(gpus)
    ]
    return MemoryNeed(
        parts=(*taken, MemoryPart(what="other", bytes=HOST_BYTES * len(gpus))),
        devices=len(gpus),
        gpus=indexes,
        context=run.context_total,
        slots=spec.slots,
        note=f"takes {share:.0%} of each GPU at once; the model is not on this machine yet",
    )
