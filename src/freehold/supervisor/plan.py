"""The memory plan of the whole machine: which servers fit together, where, and what else would fit. Pure.

A plan is advice for a person: it takes the configured servers in order of importance (pinned, `start:
always`, then priority) and puts one after the other. What really runs is decided call by call in
`supervisor.swap`, by the same rules: a server waits for the fastest place that it could have at all rather
than take a slower one, and pinned servers never make room.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from freehold.core.errors import FreeholdError
from freehold.core.memory import MachineMemory, MemoryNeed, Placement, Reserve
from freehold.core.servers import ServerSpec
from freehold.supervisor.placement import Shortage, free_after, free_with, place
from freehold.supervisor.plan_options import Place, Price, largest_context, nearest
from freehold.supervisor.plan_view import (
    Fit,
    GpuPlan,
    GpuShare,
    Option,
    PlanView,
    RamPlan,
    ServerPlan,
)

__all__ = ["Option", "PlanView", "Wish", "plan"]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A server that shall be planned for."""

    spec: ServerSpec
    trained: int = 0
    """Tokens that the model was trained for; 0: not known."""
    running: Placement | None = None
    """Where it is now; its memory is not counted as taken."""
    is_running: bool = False
    added: bool = False


class _Found(msgspec.Struct, kw_only=True):
    """What became of one wish."""

    wish: Wish
    fit: Fit
    ways: tuple[MemoryNeed, ...] = ()
    """From the fastest to the best that it can have."""
    placement: Placement | None = None
    why: str = ""
    evicts: tuple[str, ...] = ()
    blocked_by: tuple[str, ...] = ()


def plan(wishes: Sequence[Wish], machine: MachineMemory, reserve: Reserve, price: Price) -> PlanView:
    """The plan for these servers on a machine as it was measured now. Names must be unique."""
    held = [wish.running for wish in wishes if wish.running is not None]
    planner = _Planner(wishes, free_after(machine, held), reserve, price)
    for wish in in_order(wishes):
        planner.put(wish)
    planner.make_room()
    return planner.view()


def in_order(wishes: Sequence[Wish]) -> list[Wish]:
    """By importance; a server stands behind those that it needs."""
    by_name = {wish.spec.name: wish for wish in wishes}
    ranked = sorted(
        wishes,
        key=lambda wish: (not wish.spec.pin, wish.spec.start != "always", wish.added, wish.spec.priority),
    )
    found: dict[str, Wish] = {}

    def add(wish: Wish, above: frozenset[str]) -> None:
        for name in wish.spec.after:
            if name in by_name and name not in found and name not in above:
                add(by_name[name], above | {name})
        found.setdefault(wish.spec.name, wish)

    for wish in ranked:
        add(wish, frozenset({wish.spec.name}))
    return list(found.values())


class _Planner:
    """One plan in the making."""

    def __init__(self, wishes: Sequence[Wish], empty: MachineMemory, reserve: Reserve, price: Price) -> None:
        self._wishes = wishes
        self._empty = empty
        """As if none of the servers ran."""
        self._reserve = reserve
        self._price = price
        self._found: dict[str, _Found] = {}

    def put(self, wish: Wish) -> None:
        self._found[wish.spec.name] = self._place(wish)

    def make_room(self) -> None:
        """Who would go for whom: known when everybody has a place, for less important ones may have found
        theirs in what was left."""
        for one in self._found.values():
            if one.fit == "swap":
                fixed = self._fixed(one.wish.spec)
                one.evicts, there = self._victims(one.wish.spec, one.ways, fixed)
                one.placement = there or one.placement

    def _place(self, wish: Wish) -> _Found:
        spec = wish.spec
        fixed = self._fixed(spec)
        alone = free_with(self._empty, fixed.values())
        try:
            ways = self._price(spec, alone)
        except FreeholdError as error:
            return _Found(wish=wish, fit="unreadable", why=str(error))
        best = self._try(spec, ways, alone)
        if isinstance(best, Shortage):
            bare = self._try(spec, ways, self._empty)
            blocked = () if isinstance(bare, Shortage) else tuple(fixed)
            return _Found(wish=wish, fit="never", ways=ways, why=best.message, blocked_by=blocked)
        if best.need.source == "unknown":
            return _Found(wish=wish, fit="unknown", ways=ways, placement=best)
        good = ways[: ways.index(best.need) + 1]
        beside = self._try(spec, good, free_with(self._empty, self._together().values()))
        if isinstance(beside, Placement):
            return _Found(wish=wish, fit="together", ways=good, placement=beside)
        return _Found(wish=wish, fit="swap", ways=good, placement=best, why=beside.message)

    def _try(
        self, spec: ServerSpec, ways: Sequence[MemoryNeed], machine: MachineMemory
    ) -> Placement | Shortage:
        return place(ways, machine, self._reserve, spec.gpus)

    # -- who is there

    def _together(self) -> dict[str, Placement]:
        return {
            name: one.placement
            for name, one in self._found.items()
            if one.fit == "together" and one.placement is not None
        }

    def _fixed(self, spec: ServerSpec) -> dict[str, Placement]:
        """Who never makes room for it: the pinned, and those that it needs."""
        needed = self._needed_by(spec)
        return {
            name: placement
            for name, placement in self._together().items()
            if self._found[name].wish.spec.pin or name in needed
        }

    def _needed_by(self, spec: ServerSpec) -> set[str]:
        names, more = set[str](), list(spec.after)
        while more:
            name = more.pop()
            if name not in names:
                names.add(name)
                more += self._found[name].wish.spec.after if name in self._found else ()
        return names

    def _victims(
        self, spec: ServerSpec, ways: Sequence[MemoryNeed], fixed: Mapping[str, Placement]
    ) -> tuple[tuple[str, ...], Placement | None]:
        """The least important one that is enough, else the least important ones together; and where it then
        stands, which may be spread over more GPUs than it would take on an empty machine."""
        there = self._together()
        candidates = [name for name in reversed(there) if name not in fixed]
        tries = [(name,) for name in candidates]
        tries += [tuple(candidates[:count]) for count in range(2, len(candidates) + 1)]
        for names in tries:
            left = [placement for name, placement in there.items() if name not in names]
            found = self._try(spec, ways, free_with(self._empty, left))
            if isinstance(found, Placement):
                return names, found
        return tuple(candidates), None

    # -- what is told

    def view(self) -> PlanView:
        together = self._together()
        return PlanView(
            gpus=tuple(self._gpus(together)),
            ram=self._ram(together),
            servers=tuple(self._server(self._found[wish.spec.name]) for wish in self._wishes),
            apart=tuple(self._apart()),
        )

    def _gpus(self, together: Mapping[str, Placement]) -> Iterable[GpuPlan]:
        for gpu in self._empty.gpus:
            here = {name: one.on_gpu(gpu.index) for name, one in together.items() if gpu.index in one.gpus}
            planned = sum(here.values())
            yield GpuPlan(
                index=gpu.index,
                name=gpu.name,
                total_bytes=gpu.total_bytes,
                reserve_bytes=self._reserve.vram_bytes,
                others_bytes=gpu.total_bytes - gpu.free_bytes,
                planned_bytes=planned,
                left_bytes=max(0, gpu.free_bytes - self._reserve.vram_bytes - planned),
                servers=tuple(here),
            )

    def _ram(self, together: Mapping[str, Placement]) -> RamPlan:
        needs = [one.need for one in together.values()]
        planned = sum(need.ram_bytes for need in needs)
        empty = self._empty
        return RamPlan(
            total_bytes=empty.ram_total_bytes,
            reserve_bytes=self._reserve.ram_bytes,
            others_bytes=empty.ram_total_bytes - empty.ram_free_bytes,
            planned_bytes=planned,
            prompt_cache_bytes=sum(_caches(need) for need in needs),
            mapped_bytes=sum(need.mapped_bytes for need in needs),
            left_bytes=max(0, empty.ram_free_bytes - self._reserve.ram_bytes - planned),
            servers=tuple(name for name, one in together.items() if one.ram_bytes),
        )

    def _server(self, one: _Found) -> ServerPlan:
        spec, wish = one.wish.spec, one.wish
        told = ServerPlan(
            name=spec.name,
            engine=spec.engine,
            model=spec.model,
            fit=one.fit,
            added=wish.added,
            running=wish.is_running,
            pin=spec.pin,
            priority=spec.priority,
            context=spec.context,
            slots=spec.slots,
            kv=spec.kv_type,
            trained_context=wish.trained or None,
            evicts=one.evicts,
            blocked_by=one.blocked_by,
            why=one.why,
            note=one.placement.need.note if one.placement else "",
        )
        if one.fit == "never":
            nearest_ones = nearest(spec, self._where(self._room_alone(spec)))
            return msgspec.structs.replace(told, nearest=nearest_ones)
        if one.placement is None or one.fit == "unknown":
            return told
        return self._placed(told, one, one.placement)

    def _placed(self, told: ServerPlan, one: _Found, placement: Placement) -> ServerPlan:
        need, spec = placement.need, one.wish.spec
        sums = {what: sum(part.bytes for part in need.parts if part.what == what) for what in _TOLD}
        total = sum(part.bytes for part in need.parts)
        return msgspec.structs.replace(
            told,
            source=need.source,
            gpus=tuple(GpuShare(gpu=gpu, bytes=need.on_device(n)) for n, gpu in enumerate(placement.gpus)),
            gpu_layers=need.gpu_layers,
            all_layers=max((way.gpu_layers or 0 for way in one.ways), default=0) or None,
            host_experts=need.cpu_moe,
            weights_bytes=sums["weights"],
            kv_bytes=sums["kv"] + sums["state"],
            other_bytes=total - sum(sums.values()),
            vram_bytes=need.vram_bytes,
            ram_bytes=need.ram_bytes,
            prompt_cache_bytes=_caches(need),
            mapped_bytes=need.mapped_bytes,
            largest_context=self._largest(one, need),
            nearest=nearest(spec, self._goal(one, need)) if self._is_wanting(one, need) else (),
        )

    def _largest(self, one: _Found, need: MemoryNeed) -> int | None:
        if one.wish.spec.engine != "llama.cpp" or need.source == "configured":
            return None
        where = self._where(self._room_of(one), need)
        return largest_context(one.wish.spec, one.wish.trained, where) or None

    def _is_wanting(self, one: _Found, need: MemoryNeed) -> bool:
        """Whether there is anything better to be had than what it has."""
        return one.fit == "swap" or not _is_whole(need, one.ways)

    def _goal(self, one: _Found, need: MemoryNeed) -> Place:
        if one.fit == "swap":
            return self._where(free_with(self._empty, self._together().values()), need)
        whole = msgspec.structs.replace(one.ways[0], devices=len(self._empty.gpus))
        return self._where(self._room_of(one), whole)

    def _where(self, machine: MachineMemory, as_good_as: MemoryNeed | None = None) -> Place:
        return Place(price=self._price, machine=machine, reserve=self._reserve, as_good_as=as_good_as)

    def _room_of(self, one: _Found) -> MachineMemory:
        """The machine with all those that stay while it runs."""
        gone = {one.wish.spec.name, *one.evicts}
        return free_with(self._empty, [p for name, p in self._together().items() if name not in gone])

    def _room_alone(self, spec: ServerSpec) -> MachineMemory:
        return free_with(self._empty, self._fixed(spec).values())

    def _apart(self) -> Iterable[tuple[str, str]]:
        """Pairs of which each fits, but not beside the other, whichever comes first."""
        ones = [
            one for wish in self._wishes if (one := self._found[wish.spec.name]).fit in ("together", "swap")
        ]
        for number, first in enumerate(ones):
            for second in ones[number + 1 :]:
                if not self._both(first, second) and not self._both(second, first):
                    yield first.wish.spec.name, second.wish.spec.name

    def _both(self, first: _Found, second: _Found) -> bool:
        if first.fit == second.fit == "together":
            return True
        names = {first.wish.spec.name, second.wish.spec.name}
        pinned = [p for name, p in self._fixed(ServerSpec(name="")).items() if name not in names]
        room = free_with(self._empty, pinned)
        one = self._try(first.wish.spec, first.ways, room)
        if isinstance(one, Shortage):
            return False
        other = self._try(second.wish.spec, second.ways, free_with(room, [one]))
        return isinstance(other, Placement)


_TOLD = ("weights", "kv", "state")


def _caches(need: MemoryNeed) -> int:
    return sum(part.bytes for part in need.parts if part.what == "prompt cache")


def _is_whole(need: MemoryNeed, ways: Sequence[MemoryNeed]) -> bool:
    """On GPUs as far as the fastest way is, or there is no GPU for it at all."""
    return not ways[0].devices or (need.devices > 0 and (need.gpu_layers, need.cpu_moe) == _layers(ways[0]))


def _layers(way: MemoryNeed) -> tuple[int | None, int]:
    return way.gpu_layers, way.cpu_moe
