"""The whole account of one way to run a model."""

from __future__ import annotations

from freehold.core.memory import MemoryNeed, MemoryPart, PartName
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.cells import cells_of
from freehold.supervisor.memory.compute import compute_bytes, output_bytes
from freehold.supervisor.memory.kv import kv_bytes
from freehold.supervisor.memory.layers import layers_of
from freehold.supervisor.memory.places import places_of, shares_of
from freehold.supervisor.memory.recurrent import checkpoint_bytes, state_bytes
from freehold.supervisor.memory.run import DEVICE_CONTEXT_BYTES, Run
from freehold.supervisor.memory.shares import estimate_share
from freehold.supervisor.memory.weights import weights_of


class Ledger:
    """Parts as they are found; equal ones are added up."""

    def __init__(self) -> None:
        self._parts: dict[tuple[PartName, int | None, bool], int] = {}

    def add(self, what: PartName, count: int, device: int | None = None, *, mapped: bool = False) -> None:
        if count > 0:
            key = (what, device, mapped)
            self._parts[key] = self._parts.get(key, 0) + count

    def parts(self) -> tuple[MemoryPart, ...]:
        return tuple(
            MemoryPart(what=what, bytes=count, device=device, mapped=mapped)
            for (what, device, mapped), count in self._parts.items()
        )


def estimate(model: ModelFile, run: Run) -> MemoryNeed:
    """What `run` needs, part by part and device by device. Parts may be too large, never knowingly too small.
    Pure; some milliseconds for the largest models."""
    if run.engine != "llama.cpp":
        return estimate_share(model, run)
    ledger = Ledger()
    layers = layers_of(model)
    cells = cells_of(model, run, layers.window)
    places = places_of(model, run)
    weights = weights_of(model, run, places)
    ledger.add("weights", weights.host_mapped, mapped=True)
    ledger.add("weights", weights.host_own)
    for device, count in sorted(weights.by_device.items()):
        ledger.add("weights", count, device)
    kv = kv_bytes(layers, cells, run.kv_type_k, run.kv_type_v, flash=run.flash)
    state = state_bytes(layers, run.slots, run.draft_tokens)
    for i, (held, kept) in enumerate(zip(kv, state, strict=True)):
        place = places.layers[i] if run.kv_offload else None
        ledger.add("kv", held, place)
        ledger.add("state", kept, place)
    compute = compute_bytes(model, run, cells)
    used = sorted({device for device in places.layers if device is not None})
    for device in used:
        ledger.add("compute", compute, device)
        if run.vendor == "nvidia":
            ledger.add("context", DEVICE_CONTEXT_BYTES, device)
    ledger.add("compute", compute if not used or None in places.layers else compute // 4)
    ledger.add("output", output_bytes(model, run))
    ledger.add("prompt cache", run.cache_ram_bytes)
    windowed = sum(count for count, layer in zip(kv, layers.blocks, strict=True) if layer.windowed)
    saved = checkpoint_bytes(layers, windowed // max(run.slots, 1))
    ledger.add("prompt cache", saved * run.checkpoints * max(run.slots, 1))
    return MemoryNeed(
        parts=ledger.parts(),
        devices=run.devices,
        gpu_layers=sum(device is not None for device in places.layers),
        split=shares_of(run) if run.devices > 1 else (),
        cpu_moe=run.cpu_moe if run.devices else 0,
        context=cells.context_total,
        slots=max(run.slots, 1),
    )
