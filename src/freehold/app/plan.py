"""The memory plan of this house: the servers of the configuration on the machine as it is now.

A running Freehold is asked for its plan over the control API; `freehold plan` makes one by itself, so that it
also works before the first start, and for a machine that one may yet buy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from freehold.adapters.engines.registry import engines
from freehold.adapters.host.gauge import HostGauge
from freehold.adapters.providers.catalog import configured_servers, found_servers, memory_reserve
from freehold.adapters.providers.gguf_files import find_gguf_files, model_folders
from freehold.app.appraise import HouseAppraiser
from freehold.core.config_file import LoadedConfig
from freehold.core.errors import FreeholdError
from freehold.core.memory import (
    GpuMemory,
    MachineMemory,
    MemoryNeed,
    MemoryPart,
    MemoryUse,
    Placement,
    Reserve,
)
from freehold.core.servers import ServerSpec, ServerView
from freehold.supervisor.plan import PlanView, Wish, plan
from freehold.web import control

USUAL_CONTEXT, USUAL_SLOTS = 16_384, 4
"""Of a model that is only asked about."""


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is asked about. None: as usual."""

    path: Path
    context: int | None = None
    slots: int | None = None
    kv: str | None = None


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked about beside what is: a model, or another machine (sizes in bytes; empty and None: as it
    is measured)."""

    added: Added | None = None
    gpus: tuple[int, ...] = ()
    ram_bytes: int | None = None

    @property
    def pretends(self) -> bool:
        """Whether it is about another machine."""
        return bool(self.gpus) or self.ram_bytes is not None


def house_plan(
    appraiser: HouseAppraiser,
    specs: Sequence[ServerSpec],
    machine: MachineMemory,
    reserve: Reserve,
    views: Sequence[ServerView] = (),
    uses: Mapping[str, MemoryUse | None] | None = None,
) -> PlanView:
    """For a running Freehold. `machine` as measured now; `views` and, better, `uses` (by name) say what of it
    our servers hold. Blocking: reads models' files and prices them, up to some seconds; call in a worker
    thread."""
    measured = uses or {}
    placed = {
        view.name: _held(view.placement, measured.get(view.name)) for view in views if view.pid is not None
    }
    wishes = [
        _wish(appraiser, spec, running=placed.get(spec.name), is_running=spec.name in placed)
        for spec in specs
    ]
    return plan(wishes, machine, reserve, appraiser.appraise)


def own_plan(
    loaded: LoadedConfig,
    home: Path,
    env: Mapping[str, str],
    what_if: WhatIf | None = None,
    running: Sequence[control.ServerView] = (),
) -> PlanView:
    """For the command line. `running` is what a Freehold that runs on `home` says of its servers; another
    machine runs nothing. Where no server is configured, the models that `freehold up` would find are planned
    for, unless one was asked about."""
    asked = what_if or WhatIf()
    reserve = memory_reserve(loaded.config)
    programs = {str(name): path for name, path in loaded.config.engines.items()}
    appraiser = HouseAppraiser(home, engines(env, programs), env, reserve, pretended_gpus=bool(asked.gpus))
    specs = _specs(loaded, env, look=asked.added is None)
    now = HostGauge(env).machine()
    there: dict[str, control.ServerView] = {}
    if not asked.pretends:
        there = {view.name: view for view in running if view.pid is not None}
        for spec in specs:
            appraiser.confirm(spec, now)
    wishes = [
        _wish(appraiser, spec, running=_placement(there.get(spec.name)), is_running=spec.name in there)
        for spec in specs
    ]
    if asked.added is not None:
        spec = _spec(asked.added, {spec.name for spec in specs})
        wishes.append(msgspec.structs.replace(_wish(appraiser, spec), added=True))
    return plan(wishes, pretend(now, asked), reserve, appraiser.appraise)


def _specs(loaded: LoadedConfig, env: Mapping[str, str], *, look: bool) -> list[ServerSpec]:
    """The servers of the configuration; without any, those for models that lie around, if wanted."""
    folder = loaded.file.parent if loaded.file else Path.cwd()
    specs = configured_servers(loaded.config, folder, env)
    if not specs and look and loaded.config.discover:
        return found_servers(find_gguf_files(model_folders(env)), ())
    return specs


def pretend(now: MachineMemory, asked: WhatIf) -> MachineMemory:
    """The machine with other GPUs, or other RAM, all of it free but what the system takes."""
    machine = now
    if asked.gpus:
        gpus = tuple(
            GpuMemory(index=n, vendor="nvidia", total_bytes=size, free_bytes=size)
            for n, size in enumerate(asked.gpus)
        )
        machine = msgspec.structs.replace(machine, gpus=gpus)
    if asked.ram_bytes is not None:
        machine = msgspec.structs.replace(
            machine, ram_total_bytes=asked.ram_bytes, ram_free_bytes=asked.ram_bytes
        )
    return machine


def _wish(
    appraiser: HouseAppraiser,
    spec: ServerSpec,
    running: Placement | None = None,
    *,
    is_running: bool = False,
) -> Wish:
    try:
        model = appraiser.model(spec)
    except FreeholdError:
        model = None  # the plan says why, when it prices it
    trained = model.context_length if model else 0
    return Wish(spec=spec, trained=trained, running=running, is_running=is_running)


def _spec(added: Added, taken: set[str]) -> ServerSpec:
    stem = added.path.stem
    names = (stem if n == 1 else f"{stem}-{n}" for n in range(1, len(taken) + 2))
    return ServerSpec(
        name=next(name for name in names if name not in taken),
        model=str(added.path),
        engine="vllm" if added.path.is_dir() else "llama.cpp",
        context=added.context or USUAL_CONTEXT,
        slots=added.slots or USUAL_SLOTS,
        kv_type=added.kv or "f16",
    )


def _held(planned: Placement | None, use: MemoryUse | None) -> Placement | None:
    """What a server really has, as far as it is measured: some drivers do not tell who holds what."""
    if use is None:
        return planned
    planned_gpus = {gpu: planned.on_gpu(gpu) for gpu in planned.gpus} if planned is not None else {}
    return _as_placement(use.anon_bytes, use.gpu_bytes or planned_gpus)


def _placement(view: control.ServerView | None) -> Placement | None:
    """What a running server holds, as the control API tells it: measured where it is, else planned."""
    if view is None:
        return None
    memory = view.memory
    ram = memory.planned_ram_bytes if memory.measured_ram_bytes is None else memory.measured_ram_bytes
    shares = {
        share.gpu: share.planned_bytes if share.measured_bytes is None else share.measured_bytes
        for share in memory.gpus
    }
    return _as_placement(ram or 0, shares)


def _as_placement(ram_bytes: int, gpus: Mapping[int, int]) -> Placement:
    parts = [MemoryPart(what="other", bytes=size, device=n) for n, size in enumerate(gpus.values())]
    host = MemoryPart(what="other", bytes=ram_bytes)
    need = MemoryNeed(parts=(host, *parts), devices=len(parts), source="measured")
    return Placement(need=need, gpus=tuple(gpus))
