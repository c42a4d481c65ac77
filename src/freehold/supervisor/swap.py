"""Which servers run: what to start, evict, stop and refuse, and in which order. Pure.

The pool describes what there is (`Residency`) after every change, carries out the steps, and asks again when
`Later` says so. Nothing is remembered here: a server that is being drained for another one is `draining`,
and the other one still waits.

The rules, each with the complaint that it answers:

- A victim is chosen by price, not by age: the seconds that its reload will cost, times the chance that it is
  wanted within the horizon. Of all sets of victims that make enough room the cheapest goes, and only it.
- Two models that are asked for in turn must not evict each other with every call. So a server stays for its
  minimum, and while it has work for longer: until the swap has paid for itself (`SwapRules`). Then whoever
  waits goes, however much work there is, so nobody starves.
- Calls in flight are never cut: `Evict` is an order to drain, then to stop.
- Memory of a server that stops counts as free only when it is: its state stays `stopping` until the machine
  has it back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from freehold.core.memory import MachineMemory, MemoryNeed, Placement
from freehold.core.servers import ServerState as S
from freehold.supervisor.placement import Shortage, free_after, free_with, place
from freehold.supervisor.residency import (
    Evict,
    Later,
    Refuse,
    Residency,
    Resident,
    Start,
    Step,
    StopIdle,
    SwapRules,
    held,
    still_to_come,
)
from freehold.supervisor.victims import Cost, cheapest, may_go_in_s, price_s, reload_s

__all__ = [
    "Evict",
    "Later",
    "Refuse",
    "Residency",
    "Resident",
    "Start",
    "Step",
    "StopIdle",
    "SwapRules",
    "next_steps",
]

_LOADING = frozenset({S.STARTING, S.LOADING, S.BACKOFF})
_GOING = frozenset({S.DRAINING, S.STOPPING})
_DOWN = frozenset({S.STOPPED, S.FAILED})
_USUAL_PRIORITY = 50


def next_steps(residency: Residency, rules: SwapRules) -> tuple[Step, ...]:
    """What to do now, in order; at most one `Later`, at the end.

    1. who is waited for, or ordered: started where there is room, else what must go for it is evicted
    2. who should be there without a call: started where there is room, and nobody else waits for it
    3. who was not used for long: stopped
    """
    return _Round(residency, rules).steps()


class _Round:
    """One call of `next_steps`: what is decided so far, and what that leaves free."""

    def __init__(self, residency: Residency, rules: SwapRules) -> None:
        self._rules = rules
        self._residency = residency
        self._all = {one.name: one for one in residency.residents}
        self._steps: list[Step] = []
        self._again_s = math.inf
        """Seconds from now until something may be decided otherwise."""
        self._wanted_names: set[str] = set()
        """Who was asked for, and whom they need, as far as it was decided on."""
        self._going = {one.name for one in residency.residents if one.state in _GOING}
        self._to_come = {
            one.name: placement
            for one in residency.residents
            if one.state in _LOADING and (placement := still_to_come(one)) is not None
        }
        machine = residency.machine
        self._free: MachineMemory | None = None
        self._later: MachineMemory | None = None
        """The same when all that is going has gone, and all that was promised room has taken it."""
        if machine is not None:
            self._free = free_with(machine, self._to_come.values())
            self._later = free_after(self._free, self._held(self._going))

    def steps(self) -> tuple[Step, ...]:
        blocked = False
        for wanted, root in self._wanted():
            if self._serve(wanted, root):
                continue
            blocked = True
            if root.oldest_wait_s > self._starved_s(root):
                break  # passed over for long enough: nobody takes the room that it waits for
        for one in sorted(self._all.values(), key=lambda one: one.priority):
            if (
                one.state is S.STOPPED
                and (one.keep_warm or one.due)
                and one.name not in self._wanted_names  # else it was decided on already
                and not blocked
            ):
                self._start_if_room(one, one)
        for one in self._all.values():
            self._stop_if_idle(one)
        if self._again_s < math.inf:
            self._steps.append(Later(self._residency.now_s + self._again_s))
        return tuple(self._steps)

    # -- who is wanted

    def _wanted(self) -> Iterator[tuple[Resident, Resident]]:
        """Servers to be started, in order, each behind those that it needs; with whom it is wanted for."""
        for root in sorted(filter(_is_asked_for, self._all.values()), key=self._urgency):
            for name in self._needed_by(root, self._wanted_names):
                yield self._all[name], root

    def _urgency(self, one: Resident) -> tuple[bool, float, int, float]:
        """Who was left waiting for very long goes first, the longest wait before all; then by priority."""
        starved = one.oldest_wait_s > self._starved_s(one)
        top = _USUAL_PRIORITY if one.top_priority is None else one.top_priority
        return not starved, -one.oldest_wait_s if starved else one.priority, top, -one.oldest_wait_s

    def _starved_s(self, one: Resident) -> float:
        """Longer than the longest stay of anybody else of its priority."""
        others = [reload_s(other, self._rules) for other in self._all.values() if other is not one]
        loads_s = self._rules.busy_stay_loads * max(others, default=0.0)
        return self._rules.patience * max(self._rules.busy_stay_s, loads_s)

    def _needed_by(self, one: Resident, seen: set[str]) -> Iterator[str]:
        """The server behind those it must come after, as far as they do not run."""
        if one.name in seen:
            return
        seen.add(one.name)
        for name in one.after:
            if self._state(name) is S.STOPPED:
                yield from self._needed_by(self._all[name], seen)
        yield one.name

    def _state(self, name: str) -> S:
        one = self._all.get(name)
        return one.state if one is not None else S.READY

    # -- starting

    def _serve(self, wanted: Resident, root: Resident) -> bool:
        """Start it, or make room for it; False: it waits for what cannot go yet."""
        failed = [name for name in wanted.after if self._state(name) is S.FAILED]
        if failed:
            self._refuse(wanted, root, f"it needs '{failed[0]}', which has failed")
            return True
        if any(self._state(name) is not S.READY for name in wanted.after) or self._start_if_room(
            wanted, root
        ):
            return True
        possible = self._may_ever_go(root)
        best = self._best(wanted, possible)
        if isinstance(best, Shortage):
            self._refuse(wanted, root, self._why_not(wanted, best))
            return True
        assert self._later is not None
        ways = _as_good_as(wanted.ways, best)
        soon = self._place(wanted, ways, self._later)
        if soon is not None:
            self._later = free_with(self._later, (soon,))
            return True
        return self._make_room(wanted, ways, possible)

    def _start_if_room(self, wanted: Resident, root: Resident) -> bool:
        if any(self._state(name) is not S.READY for name in wanted.after):
            return False
        if self._free is None or self._later is None or not wanted.ways:
            self._steps.append(Start(wanted.name))
            return True
        best = self._best(wanted, self._may_ever_go(root))
        if isinstance(best, Shortage):
            return False
        found = self._place(wanted, _as_good_as(wanted.ways, best), _least(self._free, self._later))
        if found is None:
            return False
        free = free_with(self._free, (found,))
        self._later = free_with(self._later, (found,))
        if not self._is_tight(found, free):  # else when the load beside it is over
            self._free = free
            self._to_come[wanted.name] = found
            self._steps.append(Start(wanted.name, found))
        return True

    def _place(
        self, wanted: Resident, ways: Sequence[MemoryNeed], machine: MachineMemory
    ) -> Placement | None:
        found = place(ways, machine, self._residency.reserve, wanted.gpus)
        return found if isinstance(found, Placement) else None

    def _best(self, wanted: Resident, possible: Iterable[Resident]) -> Placement | Shortage:
        """Where it would be if all that may ever go were gone. A worse way is not taken only because it has
        room at once: a swap takes seconds, a model on the wrong device is slow for as long as it runs."""
        machine = self._residency.machine
        assert machine is not None
        loading = [one for one in self._all.values() if one.state in _LOADING]
        gone = {*self._going, *(one.name for one in (*possible, *loading) if not self._stays(one))}
        coming = [placement for one in loading if self._stays(one) and (placement := still_to_come(one))]
        empty = free_with(free_after(machine, self._held(gone)), coming)
        return place(wanted.ways, empty, self._residency.reserve, wanted.gpus)

    def _is_tight(self, found: Placement, free: MachineMemory) -> bool:
        """Whether a load beside another one would leave so little that a small error ends both."""
        others = {index for one in self._to_come.values() for index in one.gpus}
        return any(
            gpu.free_bytes - self._residency.reserve.vram_bytes < self._rules.roomy_share * gpu.total_bytes
            for gpu in free.gpus
            if gpu.index in others and gpu.index in found.gpus
        )

    # -- making room

    def _make_room(self, wanted: Resident, ways: Sequence[MemoryNeed], possible: Sequence[Resident]) -> bool:
        assert self._later is not None
        later = self._later
        waits_s = {one.name: may_go_in_s(one, wanted, self._rules) for one in possible}
        bundles = [self._with_dependents(one.name) for one in possible]
        ripe = [bundle for bundle in bundles if all(waits_s.get(name, math.inf) <= 0 for name in bundle)]
        chosen = cheapest(
            ripe,
            lambda gone: self._cost(gone, wanted),
            lambda gone: self._place(wanted, ways, free_after(later, self._held(gone))),
            self._rules.most_tries,
        )
        if chosen is None:
            self._again_s = min([self._again_s, *(wait_s for wait_s in waits_s.values() if wait_s > 0)])
            return False
        gone, found = chosen
        for name in sorted(
            gone, key=lambda name: (len(self._with_dependents(name)), name)
        ):  # dependents first
            self._steps.append(Evict(name, wanted.name, self._price_s(name, wanted)))
        self._going |= gone
        self._later = free_with(free_after(later, self._held(gone)), (found,))
        return True

    def _may_ever_go(self, root: Resident) -> list[Resident]:
        """Who runs and could be evicted for `root`, sooner or later."""
        needed = set(self._needs_of(root))
        return [
            one
            for one in self._all.values()
            if one.state is S.READY
            and one.name not in self._going
            and not any(
                self._stays(self._all[name]) or name in needed for name in self._with_dependents(one.name)
            )
        ]

    @staticmethod
    def _stays(one: Resident) -> bool:
        return one.pin or not one.ours

    def _needs_of(self, one: Resident) -> Iterator[str]:
        for name in one.after:
            yield name
            if name in self._all:
                yield from self._needs_of(self._all[name])

    def _with_dependents(self, name: str) -> frozenset[str]:
        """The server and all that run and cannot be without it."""
        names, more = {name}, {name}
        while more:
            more = {
                one.name
                for one in self._all.values()
                if one.state not in _DOWN and one.name not in names and more.intersection(one.after)
            }
            names |= more
        return frozenset(names)

    def _cost(self, names: frozenset[str], wanted: Resident) -> Cost:
        price = sum(self._price_s(name, wanted) for name in sorted(names))
        return -min(self._all[name].priority for name in names), price

    def _price_s(self, name: str, wanted: Resident) -> float:
        return price_s(self._all[name], wanted, self._residency.machine, self._rules)

    # -- refusing

    def _refuse(self, wanted: Resident, root: Resident, why: str) -> None:
        self._steps.append(Refuse(wanted.name, why))
        if root is not wanted:
            self._steps.append(Refuse(root.name, f"it needs '{wanted.name}', which cannot run: {why}"))

    def _why_not(self, wanted: Resident, shortage: Shortage) -> str:
        """What is short, and who holds memory that nobody may take or that nobody knows of."""
        alive = [one for one in self._all.values() if one is not wanted and one.state not in _DOWN]
        stay = [one.name for one in alive if self._stays(one)]
        unknown = [
            one.name
            for one in alive
            if one.holds is None and (one.placement is None or one.placement.need.source == "unknown")
        ]
        words = [shortage.message]
        words += [f"{_listed(stay)} may not be evicted"] if stay else []
        words += [f"what {_listed(unknown)} holds is not known"] if unknown else []
        words += [shortage.nearest] if shortage.nearest else []
        return "; ".join(words)

    # -- stopping

    def _stop_if_idle(self, one: Resident) -> None:
        if one.idle_stop_s is None or one.state is not S.READY or one.keep_warm or not one.ours:
            return
        if one.working or one.name in self._going or len(self._with_dependents(one.name)) > 1:
            return
        left_s = one.idle_stop_s - one.idle_s
        if left_s <= 0:
            self._steps.append(StopIdle(one.name))
        else:
            self._again_s = min(self._again_s, left_s)

    def _held(self, names: Iterable[str]) -> list[Placement]:
        found = (held(self._all[name]) for name in names)
        return [placement for placement in found if placement is not None]


def _is_asked_for(one: Resident) -> bool:
    return one.state is S.STOPPED and one.ours and bool(one.queued or one.ordered)


def _as_good_as(ways: Sequence[MemoryNeed], best: Placement) -> Sequence[MemoryNeed]:
    """The ways from the fastest to the one that was found."""
    return ways[: ways.index(best.need) + 1]


def _least(one: MachineMemory, other: MachineMemory) -> MachineMemory:
    """What is free in both, place by place."""
    gpus = tuple(a if a.free_bytes <= b.free_bytes else b for a, b in zip(one.gpus, other.gpus, strict=True))
    return MachineMemory(
        ram_total_bytes=one.ram_total_bytes,
        ram_free_bytes=min(one.ram_free_bytes, other.ram_free_bytes),
        gpus=gpus,
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
