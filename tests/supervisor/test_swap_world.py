"""Slots and swap together in a small simulated world: time passes in steps, loads and calls take theirs."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from freehold.core.memory import GpuMemory, MachineMemory, MemoryNeed, MemoryPart, Placement, Reserve
from freehold.core.servers import Lease, LeaseAsk, LeaseRefusal, ServerSpec
from freehold.core.servers import ServerState as S
from freehold.supervisor.slots import Slots, Waiter
from freehold.supervisor.swap import (
    Evict,
    Refuse,
    Residency,
    Resident,
    Start,
    StopIdle,
    SwapRules,
    next_steps,
)

GB = 10**9
STEP_S = 0.25
STOP_S = 0.5


class Model:
    """A model server whose load, calls and stop take as long as they are said to."""

    def __init__(
        self, name: str, gb: int, *, load_s: float, call_s: float, slots: int = 2, priority: int = 50
    ):
        self.name, self.load_s, self.call_s, self.priority = name, load_s, call_s, priority
        self.slots = Slots(ServerSpec(name=name, slots=slots, max_queue=1000, max_wait_s=1e9))
        self.state = S.STOPPED
        self.since_s = 0.0
        self.ready_s = 0.0
        self.loads = 0
        self.way = MemoryNeed(parts=(MemoryPart(what="weights", bytes=gb * GB, device=0),), devices=1)

    def seen(self, now_s: float) -> Resident:
        load = self.slots.load(now_s)
        used_s = load.last_used_s
        return Resident(
            name=self.name,
            state=self.state,
            priority=self.priority,
            placement=None if self.state is S.STOPPED else Placement(need=self.way, gpus=(0,)),
            ways=(self.way,),
            in_flight=load.in_flight,
            queued=load.queued,
            oldest_wait_s=load.oldest_wait_s,
            top_priority=self.slots.top_priority,
            ready_for_s=now_s - self.ready_s if self.state is S.READY else 0.0,
            idle_for_s=None if used_s is None or used_s < self.ready_s else now_s - used_s,
            reload_cold_s=self.load_s if self.loads else None,
            uses_per_hour=self.slots.uses_per_hour(now_s),
        )


class World:
    """One GPU, some models, and calls that come and go."""

    def __init__(self, gpu_gb: int, *models: Model) -> None:
        self.now_s = 0.0
        self.gpu_gb = gpu_gb
        self.models = {model.name: model for model in models}
        self.ends: list[tuple[float, Model, Lease]] = []
        self.waits: dict[str, list[float]] = {model.name: [] for model in models}
        self.evictions: list[tuple[str, str, float]] = []
        self.calls = 0

    def call(self, name: str, caller: str = "a", priority: int = 50) -> None:
        model, began_s = self.models[name], self.now_s
        self.calls += 1
        ask = LeaseAsk(str(self.calls), caller, b"", priority)
        lease = model.slots.take("", ask, self.now_s) if model.state is S.READY else None

        def told(answer: Lease | LeaseRefusal) -> None:
            assert isinstance(answer, Lease)
            self.waits[name].append(self.now_s - began_s)
            self.ends.append((self.now_s + model.call_s, model, answer))

        if lease is not None:
            told(lease)
        else:
            assert isinstance(model.slots.join(ask, told, self.now_s), Waiter)

    def pass_time(self) -> None:
        self.now_s += STEP_S
        for end in [end for end in self.ends if end[0] <= self.now_s]:
            self.ends.remove(end)
            end[1].slots.give_back(end[2], self.now_s)
        for model in self.models.values():
            self.go_on(model)
        self.decide()
        held = sum(model.way.vram_bytes for model in self.models.values() if model.state is not S.STOPPED)
        assert held <= self.gpu_gb * GB, "more was loaded than fits"

    def go_on(self, model: Model) -> None:
        for_s = self.now_s - model.since_s
        if model.state is S.LOADING and for_s >= model.load_s:
            self.become(model, S.READY)
            model.loads, model.ready_s = model.loads + 1, self.now_s
        elif model.state is S.DRAINING and not model.slots.in_flight:
            self.become(model, S.STOPPING)
        elif model.state is S.STOPPING and for_s >= STOP_S:
            assert not model.slots.in_flight, "a call was cut"
            self.become(model, S.STOPPED)
        if model.state is S.READY:
            for callback, lease in model.slots.grant("", self.now_s):
                callback(lease)

    def become(self, model: Model, state: S) -> None:
        model.state, model.since_s = state, self.now_s

    def decide(self) -> None:
        free = self.gpu_gb * GB - sum(
            model.way.vram_bytes
            for model in self.models.values()
            if model.state not in (S.STOPPED, S.LOADING)
        )
        gpu = GpuMemory(index=0, total_bytes=self.gpu_gb * GB, free_bytes=free)
        machine = MachineMemory(ram_total_bytes=GB, ram_free_bytes=GB, gpus=(gpu,))
        residency = Residency(
            residents=tuple(model.seen(self.now_s) for model in self.models.values()),
            machine=machine,
            reserve=Reserve(vram_bytes=0, ram_bytes=0),
            now_s=self.now_s,
        )
        for step in next_steps(residency, SwapRules()):
            if isinstance(step, Start):
                self.become(self.models[step.name], S.LOADING)
            elif isinstance(step, Evict):
                self.evictions.append((step.name, step.for_name, self.now_s))
                assert self.now_s - self.models[step.name].ready_s >= 10.0, "gone before its minimum stay"
                self.become(self.models[step.name], S.DRAINING)
            assert not isinstance(step, Refuse | StopIdle)

    @property
    def served(self) -> int:
        return sum(map(len, self.waits.values()))

    def run_until_served(self, within_s: float) -> None:
        while self.served < self.calls or self.ends:
            self.pass_time()
            assert self.now_s < within_s, f"{self.calls - self.served} calls were never served"


def test_two_models_that_are_asked_for_in_turn_are_swapped_once():
    """200 calls at once, every second for the other model: all of one are worked off before the swap, or as
    many as fit into the stay that pays for it."""
    world = World(24, Model("a", 20, load_s=10, call_s=1), Model("b", 20, load_s=10, call_s=1))
    for number in range(200):
        world.call("ab"[number % 2])
    world.run_until_served(within_s=300)
    assert len(world.evictions) <= 4  # 100 s of work in stays of 30 s


def test_a_stream_of_calls_for_two_models_does_not_thrash_and_starves_nobody():
    world = World(24, Model("a", 20, load_s=10, call_s=1), Model("b", 20, load_s=10, call_s=1))
    for number in range(200):
        world.call("ab"[number % 2], f"agent {number % 5}")
        for _ in range(4):  # one call a second: two slots could do two
            world.pass_time()
    world.run_until_served(within_s=600)
    assert world.served == 200
    assert len(world.evictions) <= 200 / 30 + 2
    longest_s = max(max(waits) for waits in world.waits.values())
    assert longest_s < 30 + 2 * 10 + 40  # a stay, two loads, and the queue that grew meanwhile


def test_a_model_that_loads_slowly_stays_for_longer():
    world = World(24, Model("a", 20, load_s=60, call_s=1), Model("b", 20, load_s=60, call_s=1))
    for number in range(600):
        world.call("ab"[number % 2])
        for _ in range(4):
            world.pass_time()
    world.run_until_served(within_s=2000)
    assert len(world.evictions) <= 600 / 60 / 3 + 2


def test_calls_one_after_the_other_for_two_models_each_wait_for_one_swap():
    """One agent that waits for each answer: nothing can be grouped, so each call swaps; none is lost."""
    world = World(24, Model("a", 20, load_s=2, call_s=1), Model("b", 20, load_s=2, call_s=1))
    for number in range(20):
        world.call("ab"[number % 2])
        world.run_until_served(within_s=20 * 20)
    assert max(max(waits) for waits in world.waits.values()) < 10 + 2 + 2  # minimum stay, load, stop


def test_the_more_important_model_is_served_sooner_and_the_other_not_never():
    world = World(
        24,
        Model("work", 20, load_s=5, call_s=1, priority=50),
        Model("talk", 20, load_s=5, call_s=1, priority=10),
    )
    for number in range(300):
        world.call("work")
        if number % 20 == 0:
            world.call("talk")
        for _ in range(4):
            world.pass_time()
    world.run_until_served(within_s=900)
    waits = world.waits
    assert max(waits["talk"]) <= 10 + 5 + 4
    assert len(waits["work"]) == 300


@pytest.mark.parametrize("seed", range(6))
def test_everybody_is_served_whatever_comes(seed):
    """Up to five models of any size, calls at random for ten minutes."""
    chance = random.Random(seed)
    models = [
        Model(
            name,
            chance.choice((4, 8, 12, 20, 24)),
            load_s=chance.choice((1, 5, 20)),
            call_s=chance.choice((0.5, 2, 8)),
            priority=chance.choice((50, 50, 10, 90)),
        )
        for name in "abcde"[: chance.randint(2, 5)]
    ]
    world = World(24, *models)
    favourites = [*models, models[0], models[0]]
    while world.now_s < 600:
        if chance.random() < 0.08:
            world.call(chance.choice(favourites).name, chance.choice("xyz"), chance.choice((50, 50, 20)))
        world.pass_time()
    world.run_until_served(within_s=3600)
    swaps = Counter(name for name, _, _ in world.evictions)
    assert all(count < 600 / 10 for count in swaps.values())
