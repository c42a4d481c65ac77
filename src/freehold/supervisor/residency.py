"""What there is when it is decided which servers run, and what is decided: values of `supervisor.swap`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from freehold.core.memory import MachineMemory, MemoryNeed, MemoryPart, MemoryUse, Placement, Reserve
from freehold.core.servers import ServerState


class Resident(msgspec.Struct, frozen=True, kw_only=True):
    """One configured server at one moment, as far as it matters here."""

    name: str
    state: ServerState
    ours: bool = True
    """False: adopted; never started, evicted or stopped."""
    pin: bool = False
    priority: int = 50
    min_stay_s: float = 10.0
    keep_warm: bool = False
    due: bool = False
    """`start: always`, and not started since Freehold runs."""
    ordered: bool = False
    """A person asked for it to run."""
    idle_stop_s: float | None = None
    after: tuple[str, ...] = ()
    gpus: tuple[int, ...] | None = None
    placement: Placement | None = None
    """Where it is, while it has a process or is about to have it again."""
    holds: MemoryUse | None = None
    """What it has of that now, measured; None: all of it when it is ready, nothing while it loads."""
    ways: tuple[MemoryNeed, ...] = ()
    """How it can run; empty: its memory is not planned."""
    in_flight: int = 0
    queued: int = 0
    oldest_wait_s: float = 0.0
    top_priority: int | None = None
    """The most urgent priority of its queue."""
    ready_for_s: float = 0.0
    idle_for_s: float | None = None
    """Since its last call ended; None: not used since it became ready."""
    reload_cold_s: float | None = None
    """From start to ready with its file not in memory, measured."""
    reload_warm_s: float | None = None
    """The same with its file in the page cache, measured."""
    uses_per_hour: float = 0.0

    @property
    def working(self) -> bool:
        return bool(self.in_flight or self.queued)

    @property
    def idle_s(self) -> float:
        if self.working:
            return 0.0
        return self.ready_for_s if self.idle_for_s is None else self.idle_for_s


class Residency(msgspec.Struct, frozen=True, kw_only=True):
    """All servers and the machine at one moment."""

    residents: tuple[Resident, ...] = ()
    machine: MachineMemory | None = None
    """As measured, so without what runs; None: nothing is known, and everything is taken to fit."""
    reserve: Reserve = Reserve()
    now_s: float
    """Monotonic."""


class SwapRules(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers behind the rules."""

    horizon_s: float = 600.0
    """How far ahead the chance of a use is looked at."""
    pause_s: float = 2.0
    """A server counts as working for so long after its last call: agents think between two calls."""
    busy_stay_s: float = 30.0
    busy_stay_loads: float = 3.0
    """A working server stays for so long, and for so many times its reload, before another of the same
    priority may have its place: at least 3/4 of the time goes into work then."""
    patience: float = 4.0
    """So many times longer before it goes for one of less priority; for one of more, one reload."""
    roomy_share: float = 0.05
    """Servers load beside each other on one GPU only where this share of it stays free."""
    load_bytes_per_s: float = 1e9
    """Taken for loads that were never measured."""
    most_tries: int = 1000
    """Sets of victims that are looked at, before one that is good enough is taken."""


class Start(msgspec.Struct, frozen=True):
    name: str
    placement: Placement | None = None


class Evict(msgspec.Struct, frozen=True):
    """Drain, then stop. `price` in seconds: what its reload is expected to cost."""

    name: str
    for_name: str
    price: float


class StopIdle(msgspec.Struct, frozen=True):
    name: str


class Refuse(msgspec.Struct, frozen=True):
    """It cannot run here, whatever is evicted: tell those who wait."""

    name: str
    message: str


class Later(msgspec.Struct, frozen=True):
    """Ask again then, if nothing changes before."""

    at_s: float


Step = Start | Evict | StopIdle | Refuse | Later


def held(one: Resident) -> Placement | None:
    """What the machine gets back when it has ended; None when nothing is known."""
    if one.holds is None or _gpus_untold(one):
        return one.placement
    return _as_placement(one.holds.anon_bytes, one.holds.gpu_bytes)


def still_to_come(one: Resident) -> Placement | None:
    """What a server that loads will still take of its placement."""
    if one.placement is None or one.holds is None or _gpus_untold(one):
        return one.placement
    has = one.holds.gpu_bytes
    gpus = {index: max(0, one.placement.on_gpu(index) - has.get(index, 0)) for index in one.placement.gpus}
    return _as_placement(max(0, one.placement.ram_bytes - one.holds.anon_bytes), gpus)


def _gpus_untold(one: Resident) -> bool:
    """Some drivers do not say which process holds what."""
    return one.placement is not None and bool(one.placement.gpus) and not (one.holds and one.holds.gpu_bytes)


def _as_placement(ram_bytes: int, gpus: Mapping[int, int]) -> Placement:
    indexes = tuple(sorted(gpus))
    parts = [MemoryPart(what="other", bytes=gpus[index], device=n) for n, index in enumerate(indexes)]
    host = MemoryPart(what="other", bytes=ram_bytes)
    need = MemoryNeed(parts=(host, *parts), devices=len(indexes), source="measured")
    return Placement(need=need, gpus=indexes)
