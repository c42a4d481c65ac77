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
    if not machine.gpus:
        return (MemoryNeed(source="unknown", note="there is no GPU that it may use"),)
    found: list[MemoryNeed] = []
    for count in _counts(spec, len(machine.gpus), model):
        if count > len(machine.gpus):
            return (_way(spec, machine.gpus[:1] * count, model),)  # placement says that there are too few
        choices = islice(combinations(machine.gpus, count), _MOST_CHOICES)
        ways = [_way(spec, choice, model) for choice in choices]
        found += sorted(ways, key=lambda way: (way.vram_bytes, way.gpus))
    holding = [way for way in found if _is_held(way, spec, machine)]
    return tuple(holding or found)


def _counts(spec: ServerSpec, there: int, model: ModelFile | None) -> list[int]:
    """Over how many GPUs it may be spread: as its arguments say, else all that are named for it, else the
    fewest that hold it."""
    stated = gpus_wanted(spec.args)
    if stated is not None:
        return [stated]
    if spec.gpus:
        return [len(spec.gpus)]
    return [1] if model is None else [count for count in (1, 2, 4, 8) if count <= there]


def _is_held(way: MemoryNeed, spec: ServerSpec, machine: MachineMemory) -> bool:
    """Whether its parts stay within the share that the engine will take."""
    share = share_of(Run(engine="sglang" if spec.engine == "sglang" else "vllm", gpu_memory=spec.gpu_memory))
    totals = {gpu.index: gpu.total_bytes for gpu in machine.gpus}
    return all(way.on_device(n) <= share * totals[index] for n, index in enumerate(way.gpus))


def gpus_wanted(args: Sequence[str]) -> int | None:
    """Over how many GPUs the engine's own arguments spread the model; None when they do not say."""
    for position, word in enumerate(args):
        name, _, value = word.partition("=")
        if name in _PARALLEL:
            said = value or (args[position + 1] if position + 1 < len(args) else "")
            return max(1, int(said)) if said.isdigit() else None
    return None


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
