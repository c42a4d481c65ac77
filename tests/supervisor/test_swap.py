"""Which servers run: room is made at the lowest price, nobody is cut or starved, and models do not thrash."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.core.memory import (
    GpuMemory,
    MachineMemory,
    MemoryNeed,
    MemoryPart,
    MemoryUse,
    Placement,
    Reserve,
)
from freehold.core.servers import ServerState as S
from freehold.supervisor.swap import (
    Evict,
    Later,
    Refuse,
    Residency,
    Resident,
    Start,
    StopIdle,
    SwapRules,
    next_steps,
)

GB = 10**9
RULES = SwapRules()
NOTHING = Reserve(vram_bytes=0, ram_bytes=0)


def need(gb: float, *, ram_gb: float = 0.0) -> MemoryNeed:
    parts = [MemoryPart(what="weights", bytes=int(gb * GB), device=0)] if gb else []
    if ram_gb:
        parts.append(MemoryPart(what="weights", bytes=int(ram_gb * GB)))
    return MemoryNeed(parts=tuple(parts), devices=1 if gb else 0)


def machine(free_gb: float, *more_gb: float, total_gb: float = 24.0, ram_gb: float = 64.0) -> MachineMemory:
    return MachineMemory(
        ram_total_bytes=int(ram_gb * GB),
        ram_free_bytes=int(ram_gb * GB),
        gpus=tuple(
            GpuMemory(index=n, total_bytes=int(total_gb * GB), free_bytes=int(free * GB))
            for n, free in enumerate((free_gb, *more_gb))
        ),
    )


def running(name: str, gb: float, gpu: int = 0, **facts: Any) -> Resident:
    way = need(gb)
    usual: dict[str, Any] = {"ready_for_s": 3600.0, "idle_for_s": 600.0, "state": S.READY}
    return Resident(name=name, placement=Placement(need=way, gpus=(gpu,)), ways=(way,), **(usual | facts))


def asked(name: str, gb: float, **facts: Any) -> Resident:
    return Resident(name=name, ways=(need(gb),), **({"state": S.STOPPED, "queued": 1} | facts))


def steps(free: MachineMemory | None, *residents: Resident, rules: SwapRules = RULES) -> list[Any]:
    return list(next_steps(Residency(residents=residents, machine=free, reserve=NOTHING, now_s=100.0), rules))


def names(found: list[Any], kind: type) -> list[str]:
    return [step.name for step in found if isinstance(step, kind)]


# -- room


def test_who_is_asked_for_is_started_where_there_is_room():
    (start,) = steps(machine(24, 10), asked("a", 8))
    assert (start.name, start.placement.gpus) == ("a", (1,))


def test_nobody_is_started_who_is_not_asked_for():
    assert steps(machine(24), asked("a", 8, queued=0)) == []


def test_without_knowledge_of_the_machine_everything_fits():
    found = steps(None, running("a", 20), asked("b", 20), asked("c", 20, queued=0, ordered=True))
    assert found == [Start("b"), Start("c")]


def test_what_cannot_fit_is_refused_with_the_numbers():
    (refuse,) = steps(machine(24), asked("big", 30))
    assert isinstance(refuse, Refuse)
    assert "27.9 GiB" in refuse.message
    assert "22.4 GiB" in refuse.message


def test_the_cheapest_set_goes_and_only_it():
    found = steps(
        machine(0),
        running("slow to load", 12, reload_cold_s=60.0, uses_per_hour=6),
        running("quick", 6, reload_cold_s=5.0, uses_per_hour=6),
        running("quick too", 6, reload_cold_s=6.0, uses_per_hour=6),
        asked("wanted", 12),
    )
    assert sorted(names(found, Evict)) == ["quick", "quick too"]
    assert all(step.for_name == "wanted" for step in found)


def test_one_large_that_nobody_uses_goes_before_two_small_in_use():
    found = steps(
        machine(0),
        running("unused", 12, reload_cold_s=60.0, uses_per_hour=0.0),
        running("b", 6, reload_cold_s=5.0, uses_per_hour=60),
        running("c", 6, reload_cold_s=5.0, uses_per_hour=60),
        asked("wanted", 12),
    )
    assert names(found, Evict) == ["unused"]


def test_the_price_is_reload_seconds_times_chance_of_use():
    (evict,) = steps(machine(0), running("a", 12, reload_cold_s=60.0, uses_per_hour=6.0), asked("b", 12))
    assert evict.price == pytest.approx(60 * (1 - 2.718281828**-1))  # one use is expected within ten minutes


def test_a_reload_is_cold_where_the_page_cache_cannot_keep_the_file():
    facts: dict[str, Any] = {"reload_cold_s": 60.0, "reload_warm_s": 10.0, "queued": 1, "priority": 90}
    (warm,) = steps(machine(0, ram_gb=64), running("a", 12, **facts), asked("b", 12))
    (cold,) = steps(machine(0, ram_gb=8), running("a", 12, **facts), asked("b", 12))
    assert (warm.price, cold.price) == (10.0, 60.0)


def test_what_stands_on_another_gpu_stays():
    found = steps(machine(0, 0), running("a", 12, 0), running("b", 12, 1), asked("c", 12, gpus=(1,)))
    assert names(found, Evict) == ["b"]


def test_a_better_place_is_worth_a_swap():
    """It could run on the host at once, and would be slow for as long as it runs."""
    wanted = Resident(name="w", state=S.STOPPED, queued=1, ways=(need(12), need(0, ram_gb=12)))
    assert names(steps(machine(0), running("a", 12), wanted), Evict) == ["a"]


def test_the_host_is_taken_where_the_gpu_can_never_be_had():
    wanted = Resident(name="w", state=S.STOPPED, queued=1, ways=(need(12), need(0, ram_gb=12)))
    (start,) = steps(machine(0), running("a", 12, pin=True), wanted)
    assert (start.name, start.placement.gpus) == ("w", ())


def test_pinned_and_adopted_servers_are_never_evicted():
    (refuse,) = steps(machine(0), running("p", 12, pin=True), running("q", 12, ours=False), asked("w", 12))
    assert isinstance(refuse, Refuse)
    assert "'p', 'q' may not be evicted" in refuse.message


def test_one_kept_warm_that_another_needs_is_started_once():
    found = steps(machine(24), asked("warm", 4, queued=0, keep_warm=True), asked("big", 8, after=("warm",)))
    assert names(found, Start) == ["warm"]


def test_the_less_important_goes_whatever_it_costs():
    found = steps(
        machine(0),
        running("important", 12, priority=10, reload_cold_s=1.0),
        running("usual", 12, reload_cold_s=100.0, uses_per_hour=60),
        asked("wanted", 12),
    )
    assert names(found, Evict) == ["usual"]


def test_memory_that_is_known_only_by_measuring_counts():
    stranger = Resident(
        name="command",
        state=S.READY,
        ready_for_s=99.0,
        placement=Placement(need=MemoryNeed(source="unknown"), gpus=(0,)),
        holds=MemoryUse(at_ms=0, anon_bytes=0, rss_bytes=0, gpu_bytes={0: 12 * GB}),
    )
    assert names(steps(machine(12), stranger, asked("w", 24)), Evict) == ["command"]


def test_memory_that_nobody_knows_is_named():
    stranger = Resident(name="command", state=S.READY, ready_for_s=99.0, ways=(MemoryNeed(source="unknown"),))
    (refuse,) = steps(machine(12), stranger, asked("w", 24))
    assert "what 'command' holds is not known" in refuse.message


# -- one after the other


def test_while_a_victim_goes_no_other_is_evicted():
    going = running("a", 12, state=S.DRAINING, in_flight=1)
    assert steps(machine(0), going, running("b", 12), asked("w", 12)) == []
    assert steps(machine(0), running("a", 12, state=S.STOPPING), running("b", 12), asked("w", 12)) == []


def test_two_that_wait_do_not_both_count_on_the_same_victim():
    found = steps(machine(0), running("a", 12), running("b", 12), asked("v", 12), asked("w", 12))
    assert sorted((step.name, step.for_name) for step in found) == [("a", "v"), ("b", "w")]


def test_a_small_one_takes_what_the_large_one_leaves():
    going = running("a", 12, state=S.STOPPING)
    found = steps(machine(4, 8), going, asked("large", 14), asked("small", 3, oldest_wait_s=0.0))
    assert [(step.name, step.placement.gpus) for step in found] == [("small", (1,))]


def test_a_load_under_way_keeps_its_room():
    loading = running("a", 12, state=S.LOADING)
    assert steps(machine(20), loading, asked("w", 12)) == []


def test_a_load_under_way_is_not_counted_twice():
    loading = running(
        "a", 12, state=S.LOADING, holds=MemoryUse(at_ms=0, anon_bytes=0, rss_bytes=0, gpu_bytes={0: 11 * GB})
    )
    assert names(steps(machine(13), loading, asked("w", 8)), Start) == ["w"]


def test_two_load_beside_each_other_only_where_there_is_plenty():
    assert names(steps(machine(24), asked("a", 8), asked("b", 8)), Start) == ["a", "b"]
    assert names(steps(machine(24), asked("a", 12), asked("b", 11.5)), Start) == ["a"]
    assert names(steps(machine(12, 12), asked("a", 12), asked("b", 12)), Start) == ["a", "b"]


def test_who_is_needed_comes_first():
    web = asked("web", 4, after=("base",))
    assert names(steps(machine(24), web, asked("base", 4, queued=0)), Start) == ["base"]
    assert steps(machine(20), web, running("base", 4, state=S.LOADING)) == []
    assert names(steps(machine(20), web, running("base", 4)), Start) == ["web"]


def test_what_needs_a_lost_server_is_refused():
    (refuse,) = steps(machine(24), asked("web", 4, after=("base",)), asked("base", 4, state=S.FAILED))
    assert (refuse.name, "'base', which has failed" in refuse.message) == ("web", True)
    found = steps(machine(24), asked("web", 4, after=("base",)), asked("base", 40, queued=0))
    assert names(found, Refuse) == ["base", "web"]


def test_who_is_needed_goes_only_with_those_that_need_it_and_behind_them():
    base, web = running("base", 12), running("web", 2, after=("base",))
    assert names(steps(machine(0), base, web, asked("w", 12)), Evict) == ["web", "base"]
    pinned = running("web", 2, after=("base",), pin=True)
    assert names(steps(machine(0), base, pinned, asked("w", 12)), Refuse) == ["w"]


def test_two_that_one_server_needs_do_not_evict_each_other():
    web = asked("web", 4, after=("one", "two"))
    (refuse, also) = steps(machine(0), web, running("one", 12), asked("two", 12, queued=0))
    assert (refuse.name, also.name) == ("two", "web")


# -- staying


@pytest.mark.parametrize(
    ("facts", "goes_in_s"),
    [
        ({"ready_for_s": 4.0, "idle_for_s": 3.0}, 6.0),  # the minimum stay
        ({"ready_for_s": 20.0, "idle_for_s": 3.0}, 0.0),
        ({"ready_for_s": 20.0, "idle_for_s": 0.5}, 1.5),  # an agent thinks between two calls
        ({"ready_for_s": 20.0, "queued": 3}, 10.0),  # work keeps it, for a while
        ({"ready_for_s": 20.0, "in_flight": 1}, 10.0),
        ({"ready_for_s": 30.0, "queued": 3}, 0.0),
        ({"ready_for_s": 30.0, "queued": 3, "reload_cold_s": 20.0}, 30.0),  # until the swap has paid off
        ({"ready_for_s": 30.0, "queued": 3, "priority": 40}, 90.0),  # longer for one of less priority
        ({"ready_for_s": 12.0, "queued": 3, "priority": 60, "reload_cold_s": 20.0}, 8.0),  # and shorter
    ],
)
def test_how_long_a_server_stays_when_another_waits(facts, goes_in_s):
    here = running("here", 12, **({"idle_for_s": None, "reload_cold_s": 5.0} | facts))
    (step,) = steps(machine(0), here, asked("w", 12))
    if goes_in_s == 0:
        assert isinstance(step, Evict)
    else:
        assert step == Later(pytest.approx(100.0 + goes_in_s))


def test_whoever_was_left_waiting_goes_first():
    patient = asked("patient", 12, priority=90, oldest_wait_s=1000.0)
    found = steps(machine(12), asked("important", 12, priority=1), patient)
    assert names(found, Start) == ["patient"]


def test_the_more_important_goes_first():
    found = steps(machine(12), asked("usual", 12, oldest_wait_s=9.0), asked("important", 12, priority=1))
    assert names(found, Start) == ["important"]
    found = steps(
        machine(12), asked("a", 12, top_priority=50, oldest_wait_s=9.0), asked("b", 12, top_priority=1)
    )
    assert names(found, Start) == ["b"]


def test_small_ones_do_not_keep_a_large_one_waiting_for_ever():
    young = running("young", 12, ready_for_s=1.0)
    found = steps(machine(12), young, asked("large", 24, oldest_wait_s=500.0), asked("small", 4))
    assert names(found, Start) == []
    found = steps(machine(12), young, asked("large", 24, oldest_wait_s=5.0), asked("small", 4))
    assert names(found, Start) == ["small"]


# -- without a call


def test_what_shall_be_warm_is_loaded_when_there_is_room_and_evicts_nobody():
    warm = asked("warm", 12, queued=0, keep_warm=True)
    assert names(steps(machine(24), warm), Start) == ["warm"]
    assert steps(machine(0), running("a", 24), warm) == []
    assert names(steps(machine(24), asked("due", 12, queued=0, due=True)), Start) == ["due"]


def test_what_shall_be_warm_takes_no_room_that_others_wait_for():
    young = running("young", 12, ready_for_s=1.0)
    found = steps(machine(12), young, asked("large", 24), asked("warm", 4, queued=0, keep_warm=True))
    assert names(found, Start) == []


def test_a_server_that_is_not_used_is_stopped():
    assert steps(machine(0), running("a", 12, idle_stop_s=600.0)) == [StopIdle("a")]
    assert steps(machine(0), running("a", 12, idle_stop_s=900.0)) == [Later(400.0)]
    for kept in ({"keep_warm": True}, {"in_flight": 1}, {"queued": 1}, {"ours": False}):
        assert steps(machine(0), running("a", 12, idle_stop_s=1.0, **kept)) == []
    needed = steps(machine(0), running("a", 12, idle_stop_s=1.0), running("b", 1, after=("a",)))
    assert needed == []


# -- properties

SIZES = st.sampled_from((2, 4, 6, 8, 12, 20))


@st.composite
def residents(draw: st.DrawFn) -> tuple[Resident, ...]:
    found: list[Resident] = []
    for number in range(draw(st.integers(1, 7))):
        facts: dict[str, Any] = {
            "pin": draw(st.booleans()) and draw(st.booleans()),
            "ours": draw(st.integers(0, 5)) > 0,
            "priority": draw(st.sampled_from((10, 50, 90))),
            "queued": draw(st.integers(0, 2)),
            "oldest_wait_s": draw(st.sampled_from((0.0, 20.0, 1000.0))),
            "reload_cold_s": draw(st.sampled_from((1.0, 5.0, 60.0))),
            "uses_per_hour": draw(st.sampled_from((0.0, 1.0, 60.0))),
            "keep_warm": draw(st.booleans()),
            "after": (f"s{number - 1}",) if number and draw(st.integers(0, 4)) == 0 else (),
        }
        if draw(st.booleans()):
            facts |= {
                "state": draw(st.sampled_from((S.READY, S.READY, S.LOADING, S.DRAINING, S.STOPPING))),
                "in_flight": draw(st.integers(0, 2)),
                "ready_for_s": draw(st.sampled_from((0.0, 5.0, 15.0, 40.0, 1000.0))),
                "idle_for_s": draw(st.sampled_from((None, 0.5, 100.0))),
            }
            found.append(running(f"s{number}", draw(SIZES), draw(st.integers(0, 1)), **facts))
        else:
            facts["state"] = draw(st.sampled_from((S.STOPPED, S.STOPPED, S.STOPPED, S.FAILED, S.BACKOFF)))
            found.append(asked(f"s{number}", draw(SIZES), **facts))
    return tuple(found)


@settings(deadline=None, max_examples=300)
@given(residents(), st.integers(0, 24), st.integers(0, 24))
def test_whatever_is_decided_may_be_done(all_of_them, free_0, free_1):
    by_name = {one.name: one for one in all_of_them}
    found = steps(machine(free_0, free_1), *all_of_them)
    touched = [step.name for step in found if not isinstance(step, Later)]
    assert len(touched) == len(set(touched)), "two orders for one server"
    left = {0: free_0 * GB, 1: free_1 * GB}
    for step in found:
        if isinstance(step, Later):
            assert step.at_s > 100.0
            continue
        one = by_name[step.name]
        if isinstance(step, Evict):
            wanted = by_name[step.for_name]
            assert not one.pin
            assert one.ours
            assert one.state is S.READY
            assert one.ready_for_s >= one.min_stay_s
            assert wanted.state is S.STOPPED
        elif isinstance(step, Start):
            assert one.state is S.STOPPED
            assert one.queued or one.keep_warm or any(step.name in other.after for other in all_of_them)
            assert all(by_name[name].state is S.READY for name in one.after)
            assert step.placement is not None
            left[step.placement.gpus[0]] -= step.placement.need.vram_bytes
    assert min(left.values()) >= 0, "more was given away than there is"


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(SIZES, st.integers(1, 60), st.integers(0, 1)), min_size=1, max_size=6), SIZES)
def test_no_cheaper_set_would_have_made_room(here, wanted_gb):
    free = machine(0, 0)
    ones = [
        running(f"s{n}", gb, gpu, reload_cold_s=float(load_s), queued=1, priority=90)
        for n, (gb, load_s, gpu) in enumerate(here)
    ]
    found = steps(free, *ones, asked("w", wanted_gb))
    evicted = names(found, Evict)
    sizes = {one.name: (size, gpu, load_s) for one, (size, load_s, gpu) in zip(ones, here, strict=True)}

    def makes_room(gone: tuple[str, ...]) -> bool:
        return any(
            sum(sizes[name][0] for name in gone if sizes[name][1] == gpu) >= wanted_gb for gpu in (0, 1)
        )

    if not evicted:
        assert not makes_room(tuple(sizes))
        return
    assert makes_room(tuple(evicted))
    cost = sum(sizes[name][2] for name in evicted)
    every = (set_ for size in range(len(ones) + 1) for set_ in combinations(sizes, size))
    assert cost == min(sum(sizes[name][2] for name in set_) for set_ in every if makes_room(set_))


def test_many_servers_are_decided_about_in_time():
    here = [running(f"s{n}", 1, reload_cold_s=5.0, uses_per_hour=6) for n in range(24)]
    found = steps(machine(0), *here, asked("w", 12))
    assert len(names(found, Evict)) == 12
