"""Who goes when room is needed: what losing a server costs, how long it stays, the cheapest set. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence

from freehold.core.memory import MachineMemory, MemoryNeed, Placement
from freehold.supervisor.residency import Resident, SwapRules

Cost = tuple[int, float]
"""Priority before price: the most important server of a set (negated: more is worse), then seconds."""
Fits = Callable[[frozenset[str]], Placement | None]
"""Where the wanted server goes when these are gone; None when it still does not fit."""


def reload_s(resident: Resident, rules: SwapRules, *, warm: bool = False) -> float:
    """Seconds from start to ready, measured where it was, else taken from its size."""
    first, second = resident.reload_warm_s, resident.reload_cold_s
    measured = (first if second is None else second) if not warm else (second if first is None else first)
    if measured is not None:
        return measured
    need = size_of(resident)
    size = need.vram_bytes + need.ram_bytes + need.mapped_bytes if need is not None else 0
    return 1.0 + size / rules.load_bytes_per_s


def size_of(resident: Resident) -> MemoryNeed | None:
    """What it takes where it is, else in its best way; None when nothing is known."""
    if resident.placement is not None:
        return resident.placement.need
    return resident.ways[0] if resident.ways else None


def chance_of_use(resident: Resident, rules: SwapRules) -> float:
    """That it is wanted within the horizon, if its uses come as they came lately (Poisson)."""
    if resident.working or resident.keep_warm:
        return 1.0
    return 1.0 - math.exp(-resident.uses_per_hour * rules.horizon_s / 3600)


def may_go_in_s(victim: Resident, wanted: Resident, rules: SwapRules) -> float:
    """Seconds from now until `victim` may be evicted for `wanted`; 0: now."""
    stay_s = victim.min_stay_s
    if victim.idle_s < rules.pause_s:
        load_s = reload_s(victim, rules)
        if wanted.priority < victim.priority:
            busy_s = load_s
        else:
            busy_s = max(rules.busy_stay_s, rules.busy_stay_loads * load_s)
            busy_s *= rules.patience if wanted.priority > victim.priority else 1.0
        until_paused_s = math.inf if victim.working else rules.pause_s - victim.idle_s
        stay_s = max(stay_s, min(busy_s, victim.ready_for_s + until_paused_s))
    return max(0.0, stay_s - victim.ready_for_s)


def price_s(victim: Resident, wanted: Resident, machine: MachineMemory | None, rules: SwapRules) -> float:
    """Reload seconds x chance of use. The reload will be warm where its file can stay in the page cache
    beside what the wanted server takes of RAM."""
    warm = False
    need = size_of(victim)
    if machine is not None and need is not None:
        taken = wanted.ways[0].ram_bytes if wanted.ways else 0
        warm = machine.ram_free_bytes - taken >= need.vram_bytes + need.mapped_bytes
    return reload_s(victim, rules, warm=warm) * chance_of_use(victim, rules)


def cheapest(
    bundles: Sequence[frozenset[str]], cost: Callable[[frozenset[str]], Cost], fits: Fits, most_tries: int
) -> tuple[frozenset[str], Placement] | None:
    """The union of bundles that costs least among those that make room, and where the wanted server goes
    then. Sets are looked at in the order of their cost; that only grows with each bundle, so the first one
    that makes room is the cheapest. After `most_tries` sets one that is good enough is taken."""
    queue: list[tuple[Cost, int, frozenset[str], int]] = [((-1000, 0.0), 0, frozenset(), 0)]
    pushed = tries = 0
    while queue:
        _, _, gone, behind = heapq.heappop(queue)
        if gone and (found := fits(gone)) is not None:
            return gone, found
        tries += 1
        if tries > most_tries:
            return _cheap_enough(bundles, cost, fits)
        for number in range(behind, len(bundles)):
            more = gone | bundles[number]
            pushed += 1
            heapq.heappush(queue, (cost(more), pushed, more, number + 1))
    return None


def _cheap_enough(
    bundles: Sequence[frozenset[str]], cost: Callable[[frozenset[str]], Cost], fits: Fits
) -> tuple[frozenset[str], Placement] | None:
    """All of them, less those that need not go, the dearest spared first."""
    left = sorted(bundles, key=cost, reverse=True)
    for bundle in tuple(left):
        others = [one for one in left if one is not bundle]
        if fits(frozenset[str]().union(*others)) is not None:
            left = others
    gone = frozenset[str]().union(*left)
    found = fits(gone)
    return None if found is None else (gone, found)
