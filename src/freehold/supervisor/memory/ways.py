"""Several ways to run one model, and the largest context that a limit allows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import msgspec

from freehold.core.memory import GpuMemory, MachineMemory, MemoryNeed, Reserve
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.cells import PAD
from freehold.supervisor.memory.estimate import estimate
from freehold.supervisor.memory.places import is_expert, places_of
from freehold.supervisor.memory.run import Run
from freehold.supervisor.memory.weights import weights_of

_UNEQUAL = 1.1
"""GPUs whose memory differs by more get shares of the layers to match."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a server may take at most."""

    ram_bytes: int
    device_bytes: tuple[int, ...] = ()
    """For each device of the run."""


def fits(need: MemoryNeed, limits: Limits) -> bool:
    """Whether it stays within the limits, on the host and on every device."""
    return need.ram_bytes <= limits.ram_bytes and all(
        need.on_device(n) <= (limits.device_bytes[n] if n < len(limits.device_bytes) else 0)
        for n in range(need.devices)
    )


def largest_context(model: ModelFile, run: Run, limits: Limits) -> int:
    """Tokens of all slots together, a multiple of 256 for each, at most what the model was trained for per
    slot; 0 when not even the smallest fits. The `context_total` of `run` is not looked at."""
    slots = max(run.slots, 1)
    steps = max((model.context_length or 131_072) // PAD, 1)

    def too_much(step: int) -> bool:
        asked = msgspec.structs.replace(run, context_total=step * PAD * slots)
        return not fits(estimate(model, asked), limits)

    first_too_much = bisect_left(range(1, steps + 1), True, key=too_much) + 1
    return (first_too_much - 1) * PAD * slots


def ways(
    model: ModelFile, run: Run, machine: MachineMemory, reserve: Reserve | None = None
) -> tuple[MemoryNeed, ...]:
    """Ways to run it on such a machine, the fastest first (by what the host reads for a token): all layers on
    one GPU, over several, experts or layers partly on the host, the host alone. `gpu_layers`, `devices`,
    `split` and `cpu_moe` of `run` are kept where they are set. None of the ways needs to fit; of those that
    leave a part on the host, some fit what is free now, some an empty machine, and some are coarse steps.
    """
    gpus = sorted(machine.gpus, key=lambda gpu: (-gpu.free_bytes, -gpu.total_bytes, gpu.index))
    if run.engine != "llama.cpp":
        return tuple(estimate(model, way) for way in _shares(run, gpus))
    found: dict[tuple[object, ...], tuple[int, MemoryNeed]] = {}
    for way in _candidates(model, run, gpus, reserve or Reserve()):
        need = estimate(model, way)
        key = (need.devices, need.gpu_layers, need.split, need.cpu_moe)
        if key not in found:
            found[key] = (weights_of(model, way, places_of(model, way)).host_read_per_token, need)
    ranked = sorted(found.values(), key=lambda pair: (pair[0], pair[1].devices))
    return tuple(need for _, need in ranked)


def _shares(run: Run, gpus: Sequence[GpuMemory]) -> Iterator[Run]:
    """Engines that take a share of each GPU: on as many as were asked for."""
    count = max(run.devices, 1)
    totals = tuple(gpu.total_bytes for gpu in sorted(gpus, key=lambda gpu: -gpu.total_bytes)[:count])
    yield msgspec.structs.replace(run, devices=count, device_total_bytes=run.device_total_bytes or totals)


def _candidates(model: ModelFile, run: Run, gpus: Sequence[GpuMemory], reserve: Reserve) -> Iterator[Run]:
    spreads = list(_spreads(run, gpus))
    yield from spreads
    if run.gpu_layers is None:
        for spread in spreads:
            limits = [_device_limits(gpus, spread.devices, reserve, now=now) for now in (True, False)]
            if not run.cpu_moe and any(is_expert(tensor.name) for tensor in model.tensors):
                yield from _experts_on_host(model, spread, limits)
            yield from _layers_on_host(model, spread, limits)
    yield msgspec.structs.replace(run, devices=0, gpu_layers=0, split=(), cpu_moe=0)


def _spreads(run: Run, gpus: Sequence[GpuMemory]) -> Iterator[Run]:
    """As many layers as may be on one GPU, on two, ..."""
    if not gpus or run.gpu_layers == 0:
        return
    counts = (run.devices,) if run.devices else range(1, len(gpus) + 1)
    for count in counts:
        used = gpus[:count]
        vendor = used[0].vendor if used else run.vendor
        if count > 1 and not run.split and _differ([gpu.free_bytes for gpu in used]):
            shares = tuple(round(gpu.free_bytes / used[0].free_bytes, 3) for gpu in used)
            yield msgspec.structs.replace(run, devices=count, split=shares, vendor=vendor)
        yield msgspec.structs.replace(run, devices=count, vendor=vendor)


def _differ(sizes: Sequence[int]) -> bool:
    return min(sizes) > 0 and max(sizes) / min(sizes) > _UNEQUAL


def _device_limits(
    gpus: Sequence[GpuMemory], devices: int, reserve: Reserve, *, now: bool
) -> tuple[int, ...]:
    return tuple((gpu.free_bytes if now else gpu.total_bytes) - reserve.vram_bytes for gpu in gpus[:devices])


def _experts_on_host(model: ModelFile, run: Run, limits: Sequence[tuple[int, ...]]) -> Iterator[Run]:
    """All layers on the GPUs, the experts of the first blocks on the host: as few as will do, then steps."""
    blocks = model.blocks
    runs = [msgspec.structs.replace(run, cpu_moe=count) for count in range(1, blocks + 1)]
    steps = {_first_that_fits(model, runs, limit) for limit in limits}
    steps |= {blocks // 4 - 1, blocks // 2 - 1, blocks - 1}
    for step in sorted(step for step in steps if 0 <= step < blocks):
        yield runs[step]


def _layers_on_host(model: ModelFile, run: Run, limits: Sequence[tuple[int, ...]]) -> Iterator[Run]:
    """As many layers on the GPUs as will do, then steps. Experts are where their layers are."""
    layers = model.blocks
    runs = [msgspec.structs.replace(run, gpu_layers=count) for count in range(layers, 0, -1)]
    steps = {_first_that_fits(model, runs, limit) for limit in limits}
    steps |= {layers // 4, layers // 2, layers * 3 // 4}
    for step in sorted(step for step in steps if 0 <= step < layers):
        yield runs[step]


def _first_that_fits(model: ModelFile, runs: Sequence[Run], device_bytes: tuple[int, ...]) -> int:
    """Index of the first of `runs`, each of which takes less of the devices than the one before it."""
    limits = Limits(ram_bytes=1 << 62, device_bytes=device_bytes)
    return bisect_left(runs, True, key=lambda run: fits(estimate(model, run), limits))
