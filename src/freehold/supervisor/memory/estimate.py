"""The whole account of one way to run a model."""

from __future__ import annotations

import msgspec

from freehold.core.memory import MemoryNeed, MemoryPart, PartName
from freehold.core.model_file import ModelFile
from freehold.supervisor.memory.cells import Cells, cells_of
from freehold.supervisor.memory.devices import device_compute_bytes, host_compute_bytes
from freehold.supervisor.memory.host import checkpoint_bytes, output_bytes, process_bytes
from freehold.supervisor.memory.kv import kv_bytes
from freehold.supervisor.memory.layers import Layers, layers_of
from freehold.supervisor.memory.places import Places, places_of, shares_of
from freehold.supervisor.memory.recurrent import state_bytes
from freehold.supervisor.memory.run import DEVICE_CONTEXT_BYTES, Run
from freehold.supervisor.memory.shares import estimate_share
from freehold.supervisor.memory.weights import Weights, weights_of

_PROJECTOR_FACTOR = 1.4
"""Of its file, for weights and graph. Source: rule of thumb of Unsloth Studio."""


class Account:
    """Parts as they are found; what is alike is added up."""

    def __init__(self) -> None:
        self._parts: dict[tuple[PartName, int | None, bool], int] = {}

    def add(self, what: PartName, count: int, device: int | None = None, *, mapped: bool = False) -> None:
        """Nothing is written down for nothing."""
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
    Pure; about a millisecond for the largest models."""
    if run.engine != "llama.cpp":
        return estimate_share(model, run)
    account = Account()
    layers = layers_of(model)
    cells = cells_of(model, run, layers.window)
    places = places_of(model, run)
    weights = weights_of(model, run, places)
    _add_weights(account, weights)
    kv = kv_bytes(layers, cells, run.kv_type_k, run.kv_type_v, flash=run.flash)
    state = state_bytes(layers, run.slots, run.draft_tokens)
    for i, (held, kept) in enumerate(zip(kv, state, strict=True)):
        place = places.layers[i] if run.kv_offload else None
        account.add("kv", held, place)
        account.add("state", kept, place)
    _add_compute(account, (model, layers, cells, run), places, weights)
    account.add("output", output_bytes(model, run))
    account.add("other", process_bytes(model))
    account.add("prompt cache", run.cache_ram_bytes)
    windowed = sum(count for count, layer in zip(kv, layers.blocks, strict=True) if layer.windowed)
    account.add("prompt cache", checkpoint_bytes(layers, windowed, run))
    _add_projector(account, run)
    _add_draft(account, run)
    return MemoryNeed(
        parts=account.parts(),
        devices=run.devices,
        gpu_layers=sum(device is not None for device in places.layers),
        split=shares_of(run) if run.devices > 1 else (),
        cpu_moe=run.cpu_moe if run.devices else 0,
        context=cells.context_total,
        slots=max(run.slots, 1),
        note=_doubt(model),
    )


def _doubt(model: ModelFile) -> str:
    """Where the formulas are guesses."""
    if model.number("attention.indexer.key_length"):
        return "its indexer's cache is a guess: the engine's dry run knows better"
    if model.number("wkv.head_size"):
        return "its graph is a guess: the engine's dry run knows better"
    return ""


def _add_weights(account: Account, weights: Weights) -> None:
    account.add("weights", weights.host_mapped, mapped=True)
    account.add("weights", weights.host_own)
    for device, count in sorted(weights.by_device.items()):
        account.add("weights", count, device)


def _add_compute(
    account: Account, what: tuple[ModelFile, Layers, Cells, Run], places: Places, weights: Weights
) -> None:
    for device in sorted({device for device in places.layers if device is not None}):
        account.add("compute", device_compute_bytes(what, places, weights, device), device)
        if what[3].vendor == "nvidia":
            account.add("context", DEVICE_CONTEXT_BYTES, device)
    account.add("compute", host_compute_bytes(what, places, weights))


def _add_projector(account: Account, run: Run) -> None:
    if run.projector is not None:
        size = int(run.projector.weights_bytes * _PROJECTOR_FACTOR)
        account.add("projector", size, 0 if run.devices else None)


def _add_draft(account: Account, run: Run) -> None:
    """The draft is a model of its own in the same process, with as much context and as many slots."""
    if run.draft is None:
        return
    devices = run.devices if run.draft_devices is None else run.draft_devices
    own = msgspec.structs.replace(
        run,
        **{"draft": None, "projector": None, "cache_ram_bytes": 0, "checkpoints": 0, "cpu_moe": 0},
        **{"devices": devices, "gpu_layers": None, "tensor_places": (), "vendor": "other", "draft_tokens": 0},
    )
    for part in estimate(run.draft, own).parts:
        if part.what != "other":
            account.add("draft", part.bytes, part.device, mapped=part.mapped)
