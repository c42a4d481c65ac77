"""Who gets the memory: placement, eviction, idle stop, dependencies; on a GPU that only a gauge knows of."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from freehold.core.memory import (
    GpuMemory,
    MachineMemory,
    MemoryNeed,
    MemoryPart,
    MemoryUse,
    Placement,
    Reserve,
)
from freehold.core.servers import Lease, LeaseRefusal, ServerSpec, ServerState
from freehold.supervisor.pool import ServerPool
from freehold.supervisor.residency import SwapRules
from tests.supervisor.pools import BOUND_S, Seen, ask, leased, pool, ready, spec, waited

GIB = 1024**3
IMPATIENT = SwapRules(pause_s=0.01, busy_stay_s=0.05, busy_stay_loads=0.0)


class StandinGauge:
    """One GPU of 10 GiB. What a process was placed on is taken as long as it lives, and a while longer."""

    def __init__(self, readings_late: int = 0) -> None:
        self.readings_late = readings_late
        """So many readings a driver goes on to count the memory of a process that ended."""
        self.placed: dict[int, int] = {}
        self._gone: dict[int, int] = {}

    def machine(self) -> MachineMemory:
        taken = 0
        for pid, size in self.placed.items():
            if not psutil.pid_exists(pid):
                self._gone[pid] = self._gone.get(pid, 0) + 1
            if self._gone.get(pid, 0) <= self.readings_late:
                taken += size
        gpu = GpuMemory(index=0, vendor="nvidia", total_bytes=10 * GIB, free_bytes=10 * GIB - taken)
        return MachineMemory(ram_total_bytes=64 * GIB, ram_free_bytes=60 * GIB, gpus=(gpu,))

    def used_by(self, pids: frozenset[int]) -> MemoryUse:
        size = sum(self.placed.get(pid, 0) for pid in pids)
        alive = any(map(psutil.pid_exists, pids))
        return MemoryUse(at_ms=0, anon_bytes=0, rss_bytes=int(alive), gpu_bytes={0: size})

    def follow(self, servers: ServerPool) -> None:
        """Take note of what was placed."""
        for view in servers.views():
            if view.pid is not None and view.placement is not None:
                self.placed[view.pid] = view.placement.on_gpu(0)


class StandinAppraiser:
    """One way: `vram_bytes` on one GPU."""

    def __init__(self) -> None:
        self.learned: list[tuple[str, MemoryNeed]] = []

    def appraise(self, spec: ServerSpec, machine: MachineMemory) -> tuple[MemoryNeed, ...]:
        part = MemoryPart(what="weights", bytes=spec.vram_bytes or 0, device=0)
        return (MemoryNeed(parts=(part,), devices=1),)

    def learn(self, spec: ServerSpec, placement: Placement, report: MemoryNeed) -> None:
        self.learned.append((spec.name, report))


@pytest.fixture
def seen() -> Seen:
    return Seen()


def sized(name: str, gib: int, **changes: object) -> ServerSpec:
    return spec("ready", **{"name": name, "vram_bytes": gib * GIB, "min_stay_s": 0.0, **changes})


class House:
    """A pool on the stand-in GPU."""

    def __init__(
        self, folder: Path, seen: Seen, *specs: ServerSpec, gauge: StandinGauge | None = None
    ) -> None:
        self.gauge = gauge or StandinGauge()
        self.appraiser = StandinAppraiser()
        self.pool = pool(
            folder,
            seen,
            *specs,
            gauge=self.gauge,
            appraiser=self.appraiser,
            advise=lambda asked, best: f"{asked.name} would fit into {best.gpus[0].free_bytes // GIB} GiB",
            reserve=Reserve(vram_bytes=0, ram_bytes=0),
            swap=IMPATIENT,
            sample_every_s=0.02,
        )
        changed = self.pool.on_change

        def note(view: object) -> None:
            self.gauge.follow(self.pool)
            changed(view)  # type: ignore[arg-type]

        self.pool.on_change = note


async def test_servers_that_fit_together_are_loaded_beside_each_other_and_their_place_is_known(
    tmp_path: Path, seen: Seen
) -> None:
    house = House(tmp_path, seen, sized("a", 4), sized("b", 5))
    async with house.pool as servers:
        await asyncio.gather(leased(servers, "a"), leased(servers, "b"))
        view = servers.view("a")
        assert view.placement is not None
        assert (view.placement.gpus, view.placement.on_gpu(0)) == ((0,), 4 * GIB)
        await seen.when(lambda: all(view.reported is not None for view in servers.views()))
        assert {name for name, _ in house.appraiser.learned} == {"a", "b"}
        residency = await servers.snapshot()
        assert [one.name for one in residency.residents] == ["a", "b"]


async def test_one_that_does_not_fit_beside_another_waits_for_its_calls_then_takes_its_place(
    tmp_path: Path, seen: Seen
) -> None:
    house = House(tmp_path, seen, sized("a", 6), sized("b", 6))
    async with house.pool as servers:
        held = await leased(servers, "a")
        wanting = asyncio.ensure_future(waited(servers, "b", ask()))
        draining = await seen.until("a", ServerState.DRAINING)
        assert "makes room for 'b'" in draining.detail
        assert servers.view("b").state is ServerState.STARTING
        assert servers.view("b").pid is None
        servers.release(held)
        assert isinstance(await wanting, Lease)
        assert servers.view("a").state is ServerState.STOPPED
        stopped_at = seen.views.index(next(v for v in seen.views if v.name == "a" and v.state == "stopped"))
        started_at = seen.views.index(next(v for v in seen.views if v.name == "b" and v.pid is not None))
        assert stopped_at < started_at


async def test_a_drain_is_called_off_when_nobody_waits_for_the_room_any_more(
    tmp_path: Path, seen: Seen
) -> None:
    house = House(tmp_path, seen, sized("a", 6), sized("b", 6))
    async with house.pool as servers:
        held = await leased(servers, "a")
        leave = servers.wait("b", ask(), lambda _answer: None)
        await seen.until("a", ServerState.DRAINING)
        leave()
        servers._arbiter.nudge()
        await seen.until("a", ServerState.READY, times=2)
        servers.release(held)
        servers.release(await leased(servers, "a"))
        assert seen.states("a").count(ServerState.STARTING) == 1


async def test_two_models_asked_for_in_turn_are_all_served(tmp_path: Path, seen: Seen) -> None:
    house = House(tmp_path, seen, sized("a", 6), sized("b", 6))
    async with house.pool as servers:
        for name in ("a", "b", "a", "b"):
            servers.release(await leased(servers, name))
        assert seen.states("a").count(ServerState.STARTING) == 2


async def test_a_pinned_server_is_never_evicted_and_who_cannot_fit_is_told_the_numbers(
    tmp_path: Path, seen: Seen
) -> None:
    house = House(tmp_path, seen, sized("a", 6, pin=True), sized("b", 6))
    async with house.pool as servers:
        servers.release(await leased(servers, "a"))
        refusal = await waited(servers, "b", ask())
        assert isinstance(refusal, LeaseRefusal)
        assert refusal.code == "does_not_fit"
        assert "6.0 GiB" in refusal.message
        assert refusal.message.endswith("; b would fit into 4 GiB")
        assert servers.view("b").state is ServerState.STOPPED
        assert servers.view("a").state is ServerState.READY


async def test_the_next_one_starts_only_when_the_driver_has_given_the_memory_back(
    tmp_path: Path, seen: Seen
) -> None:
    gauge = StandinGauge(readings_late=3)
    house = House(tmp_path, seen, sized("a", 6), sized("b", 6), gauge=gauge)
    async with house.pool as servers:
        servers.release(await leased(servers, "a"))
        pid = servers.view("a").pid
        assert pid is not None
        await seen.when(lambda: True)
        servers.release(await leased(servers, "b"))
        assert gauge._gone[pid] >= 3
        assert seen.states("b").count(ServerState.STARTING) == 1  # not refused, nor evicting anybody else


async def test_a_server_that_nobody_uses_is_stopped_after_its_idle_time(tmp_path: Path, seen: Seen) -> None:
    async with pool(tmp_path, seen, spec("ready", idle_stop_s=0.1)) as servers:
        servers.release(await leased(servers, "ready"))
        stopped = await seen.until("ready", ServerState.STOPPED)
        assert stopped.detail == "not used for 0.1 s"
        servers.release(await leased(servers, "ready"))  # and comes back when asked for


async def test_one_that_needs_another_starts_after_it(tmp_path: Path, seen: Seen) -> None:
    first, second = spec("slow", name="first"), spec("ready", name="second", after=("first",))
    async with pool(tmp_path, seen, second, first) as servers:
        servers.release(await leased(servers, "second"))
        ready_at = next(
            n for n, view in enumerate(seen.views) if view.name == "first" and view.state == "ready"
        )
        started_at = next(n for n, view in enumerate(seen.views) if view.name == "second" and view.pid)
        assert ready_at < started_at


async def test_one_kept_warm_is_loaded_without_a_call_unless_a_person_stopped_it(
    tmp_path: Path, seen: Seen
) -> None:
    async with pool(tmp_path, seen, spec("ready", keep_warm=True), spec("slow")) as servers:
        servers.ensure_started("slow")
        await seen.until("ready", ServerState.READY)
        await servers.stop("ready")
        await servers.restart("slow")
        await asyncio.wait_for(ready(servers, "slow"), BOUND_S)
        assert servers.view("ready").state is ServerState.STOPPED


async def test_memory_is_sampled_for_the_certificate(tmp_path: Path, seen: Seen) -> None:
    house = House(tmp_path, seen, sized("a", 4))
    async with house.pool as servers:
        servers.release(await leased(servers, "a"))
        async with asyncio.timeout(BOUND_S):
            while servers.memory_use("a") is None or not servers.memory_use("a").gpu_bytes[0]:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        use = servers.memory_use("a")
        assert use is not None
        assert use.gpu_bytes == {0: 4 * GIB}


async def test_one_that_shall_always_run_waits_for_room_without_a_sound_and_comes_when_there_is(
    tmp_path: Path, seen: Seen
) -> None:
    house = House(tmp_path, seen, sized("a", 6), sized("b", 6, start="always"))
    async with house.pool as servers:
        servers.release(await leased(servers, "a"))
        servers.start_all()
        put_off = await ready(servers, "b")
        assert put_off.state is ServerState.STOPPED
        assert put_off.detail == "waits for memory that others hold; it starts when it can"
        assert servers.view("a").state is ServerState.READY
        await servers.stop("a")
        await seen.until("b", ServerState.READY)
    assert seen.states("b").count(ServerState.STARTING) == 2
